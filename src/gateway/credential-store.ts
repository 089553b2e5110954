/** Where the gateway gets what the targets want to see. Other stores implement the same interface. */
import { readFile, stat } from 'node:fs/promises';
import { HoopError } from '../errors.ts';
import { Secret } from '../secret.ts';
import type { CredentialConfig, PasswordSource } from './config.ts';
import type { Log } from './log.ts';

export interface TargetCredential {
  readonly user: string;
  readonly password: Secret<string> | undefined;
}

export interface CredentialStore {
  /** @throws HOOP_CONFIG when it is not there or cannot be read. */
  credential(name: string): Promise<TargetCredential>;
}

export interface CredentialStoreOptions {
  readonly credentials: Readonly<Record<string, CredentialConfig>>;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
}

/** A password file holds one password; more is a mistake in the path. */
const MAX_PASSWORD_FILE_BYTES = 4096;

/**
 * Credentials named in the configuration. Files are read at each use, so that a rotated password
 * takes effect without a restart; `check()` reads all once, so that a missing one is seen at start.
 */
export class ConfigCredentialStore implements CredentialStore {
  readonly #options: CredentialStoreOptions;

  constructor(options: CredentialStoreOptions) {
    this.#options = options;
  }

  async check(): Promise<void> {
    for (const [name, { password }] of Object.entries(this.#options.credentials)) {
      await this.credential(name);
      if (password?.from === 'file') {
        const { mode } = await stat(password.path);
        if ((mode & 0o077) !== 0) {
          this.#options.log.warn('credential.file_mode', {
            credential: name,
            file: password.path,
            message: 'other users of this machine may read the file; make it mode 0600',
          });
        }
      }
    }
  }

  async credential(name: string): Promise<TargetCredential> {
    const found = Object.hasOwn(this.#options.credentials, name)
      ? this.#options.credentials[name]
      : undefined;
    if (found === undefined) {
      throw new HoopError('HOOP_CONFIG', `the gateway has no credential "${name}"`, {
        hint: 'An operator adds it under "credentials" in the gateway configuration.',
      });
    }
    return {
      user: found.user,
      password: found.password && (await this.#password(name, found.password)),
    };
  }

  async #password(name: string, source: PasswordSource): Promise<Secret<string>> {
    if (source.from === 'env') {
      const value = this.#options.env[source.name];
      if (value === undefined || value === '') {
        throw new HoopError(
          'HOOP_CONFIG',
          `credential "${name}" needs the environment variable ${source.name}`,
        );
      }
      return new Secret(value);
    }
    return new Secret(await readPasswordFile(name, source.path));
  }
}

async function readPasswordFile(name: string, path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new HoopError('HOOP_CONFIG', `cannot read "${path}" of credential "${name}"`, { cause });
  }
  // Editors and `echo` end a file with a newline that is not part of the password.
  const password = text.replace(/\r?\n$/, '');
  if (password === '' || text.length > MAX_PASSWORD_FILE_BYTES || /[\0\r\n]/.test(password)) {
    throw new HoopError(
      'HOOP_CONFIG',
      `"${path}" of credential "${name}" does not hold a password`,
      {
        detail: `The file must hold one line of 1 to ${MAX_PASSWORD_FILE_BYTES} bytes.`,
      },
    );
  }
  return password;
}
