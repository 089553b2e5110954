/**
 * Tokens in a file that only its owner can read, for machines without a keychain. Not encrypted:
 * a key beside the file would protect it from nobody.
 */
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  type Stats,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { errorCode } from '../error-code.ts';
import { HoopError } from '../errors.ts';
import { isMissing, writeFileAtomic } from '../home.ts';
import { parseTokenRecord, type TokenRecord, type TokenStore } from './token-record.ts';

/** One record for each gateway, of some kilobytes. */
const MAX_FILE_BYTES = 4 << 20;

export class FileTokenStore implements TokenStore {
  readonly description: string;
  readonly #path: string;

  /** @param directory the client's state directory */
  constructor(directory: string) {
    this.#path = join(directory, 'tokens.json');
    this.description = `file ${this.#path}`;
  }

  async read(gateway: string): Promise<TokenRecord | undefined> {
    const record = this.#readAll().get(gateway);
    return record === undefined
      ? undefined
      : parseTokenRecord(record, `token file "${this.#path}"`);
  }

  async write(gateway: string, record: TokenRecord): Promise<void> {
    const all = this.#readAll();
    all.set(gateway, record);
    this.#writeAll(all);
  }

  async remove(gateway: string): Promise<boolean> {
    const all = this.#readAll();
    if (!all.delete(gateway)) {
      return false;
    }
    if (all.size === 0) {
      rmSync(this.#path);
    } else {
      this.#writeAll(all);
    }
    return true;
  }

  #writeAll(all: ReadonlyMap<string, unknown>): void {
    const directory = dirname(this.#path);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    if (process.platform !== 'win32') {
      // A directory that was there before may be open to others.
      chmodSync(directory, 0o700);
    }
    const text = JSON.stringify({ v: 1, tokens: Object.fromEntries(all) });
    writeFileAtomic(this.#path, `${text}\n`);
  }

  #readAll(): Map<string, unknown> {
    let text: string;
    try {
      text = this.#readText();
    } catch (error) {
      if (isMissing(error)) {
        return new Map();
      }
      throw error;
    }
    const tokens = readTokens(text);
    if (tokens === undefined) {
      throw new HoopError('HOOP_LOCAL_STATE', `the token file "${this.#path}" is damaged`, {
        hint: 'Remove it and log in again with `hoop login`.',
      });
    }
    return new Map(Object.entries(tokens));
  }

  /**
   * What is looked at is what is read: a program inside a run may write here, and change a file for a
   * link to somebody else's in between.
   */
  #readText(): string {
    const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;
    let file: number;
    try {
      // A pipe would be waited for.
      file = openSync(this.#path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    } catch (error) {
      throw isLink(error) ? this.#noFile() : error;
    }
    try {
      const stats = fstatSync(file);
      if (!stats.isFile()) {
        throw this.#noFile();
      }
      if (stats.size > MAX_FILE_BYTES) {
        throw new HoopError('HOOP_LOCAL_STATE', `the token file "${this.#path}" is too large`);
      }
      requirePrivate(this.#path, 'file', stats);
      const directory = dirname(this.#path);
      requirePrivate(directory, 'directory', lstatSync(directory));
      return readFileSync(file, 'utf8');
    } finally {
      closeSync(file);
    }
  }

  #noFile(): HoopError {
    return new HoopError('HOOP_LOCAL_STATE', `the token file "${this.#path}" is not a file`);
  }
}

/** As ssh does with private keys: what others could read is not used, so that somebody notices. */
function requirePrivate(path: string, what: 'file' | 'directory', { mode, uid }: Stats): void {
  if (process.platform === 'win32') {
    return;
  }
  const foreign = uid !== process.getuid?.();
  if ((mode & 0o077) !== 0 || foreign) {
    throw new HoopError('HOOP_LOCAL_STATE', `the token ${what} "${path}" is accessible to others`, {
      detail: foreign
        ? 'It belongs to another user.'
        : `Its mode is ${(mode & 0o777).toString(8).padStart(4, '0')}.`,
      hint: foreign
        ? 'Use a HOOP_HOME of your own.'
        : `Run \`chmod go= '${path}'\`; if others may have read it, log in again.`,
    });
  }
}

/** O_NOFOLLOW on a link; a socket cannot be opened at all. */
function isLink(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'ELOOP' || code === 'ENXIO';
}

function readTokens(text: string): object | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('v' in value) || value.v !== 1) {
    return undefined;
  }
  return 'tokens' in value && typeof value.tokens === 'object' && value.tokens !== null
    ? value.tokens
    : undefined;
}
