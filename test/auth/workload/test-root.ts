/** A file system of its own for a provider that looks at fixed places. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export class TestRoot implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'hoop-test-root-'));

  /** @param mode of the file; its directories are made as they are missing */
  write(path: string, text: string, mode = 0o644): string {
    const file = join(this.path, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text, { mode });
    return file;
  }

  dmi(field: string, text: string): void {
    this.write(`/sys/class/dmi/id/${field}`, `${text}\n`);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
