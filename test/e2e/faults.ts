/** Faults of a disk and a network in one process while it runs: programs/faults.c, preloaded. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('./programs/faults.c', import.meta.url));

export interface Fault {
  /** Of each fsync and fdatasync. */
  readonly syncMs?: number;
  readonly isDiskFull?: boolean;
  /** Connections to this port of 127.0.0.1 are refused. */
  readonly refusedPort?: number;
}

export class Faults {
  /** For the environment of the process. */
  readonly variables: Readonly<Record<string, string>>;
  readonly #control: string;

  private constructor(library: string, control: string, under: string) {
    this.#control = control;
    this.variables = { LD_PRELOAD: library, SOAK_FAULTS: control, SOAK_FAULTS_UNDER: under };
    this.set({});
  }

  /**
   * @param directory of the library and what it reads
   * @param under only files below it are on the disk that has the fault
   */
  static in(directory: string, name: string, under: string): Faults {
    const library = join(directory, 'faults.so');
    execFileSync('cc', ['-O2', '-shared', '-fPIC', '-o', library, SOURCE, '-ldl']);
    return new Faults(library, join(directory, name), under);
  }

  /** From now on these, and no others. */
  set({ syncMs = 0, isDiskFull = false, refusedPort = 0 }: Fault): void {
    // In place: the process has this file in its memory.
    writeFileSync(this.#control, new Int32Array([syncMs, isDiskFull ? 1 : 0, refusedPort]), {
      flag: this.#isThere ? 'r+' : 'w',
    });
    this.#isThere = true;
  }

  #isThere = false;
}
