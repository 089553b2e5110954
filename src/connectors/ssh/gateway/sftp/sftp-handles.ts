/** What is open on one sftp channel, by the handles that the target gave. */
import { ProtocolError } from '../../../../errors.ts';
import type { SftpFile } from './sftp-file.ts';
import { fromBytes } from './sftp-questions.ts';
import type { FileAct } from './sftp-types.ts';

/** sftp-server has as many as it may have files open, 1024 by default. */
const MAX_HANDLES = 1024;

export class SftpHandles {
  readonly #files = new Map<string, SftpFile>();

  get hasRoom(): boolean {
    return this.#files.size < MAX_HANDLES;
  }

  /** What they let the client do. */
  get acts(): FileAct[] {
    return [...this.#files.values()].flatMap(({ opened: { kind, path }, reads, writes }) => [
      ...(kind === 'directory' ? [{ kind: 'file', operation: 'list', path } as const] : []),
      ...(reads ? [{ kind: 'file', operation: 'read', path } as const] : []),
      ...(writes ? [{ kind: 'file', operation: 'write', path } as const] : []),
    ]);
  }

  /** @throws ProtocolError */
  add(handle: Uint8Array, file: SftpFile): void {
    const key = fromBytes(handle);
    if (this.#files.has(key)) {
      throw new ProtocolError('target gave the same sftp handle twice');
    }
    this.#files.set(key, file);
  }

  /** @returns undefined for a handle that the target gave to nobody here, or has taken back */
  find(handle: Uint8Array): SftpFile | undefined {
    return this.#files.get(fromBytes(handle));
  }

  delete(handle: Uint8Array): void {
    this.#files.delete(fromBytes(handle));
  }

  /** All that were open; none is any more. */
  clear(): SftpFile[] {
    const files = [...this.#files.values()];
    this.#files.clear();
    return files;
  }
}
