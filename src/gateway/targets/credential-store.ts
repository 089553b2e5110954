/** Where the gateway gets what the targets want to see. Other stores implement the same interface. */
import { readFile, stat } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { HoopError } from '../../errors.ts';
import { Secret } from '../../secret.ts';
import type { CertificateFiles, CredentialConfig, PasswordSource } from '../base/config.ts';
import type { Log } from '../base/log.ts';

/** PEM, both. */
export interface ClientCertificate {
  readonly certificate: string;
  readonly privateKey: Secret<string>;
}

export interface TargetCredential {
  readonly user: string;
  readonly password: Secret<string> | undefined;
  readonly clientCertificate: ClientCertificate | undefined;
  readonly privateKey: Secret<string> | undefined;
}

export interface CredentialStore {
  /** @throws HOOP_CONFIG when it is not there or cannot be read. */
  credential(name: string): Promise<TargetCredential>;
  /** The user of a credential, without its secrets; undefined: there is no such credential. */
  userOf(name: string): string | undefined;
}

export interface CredentialStoreOptions {
  readonly credentials: Readonly<Record<string, CredentialConfig>>;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
}

/** A password file holds one password; more is a mistake in the path. */
const MAX_PASSWORD_FILE_BYTES = 4096;
/** A certificate with its chain, or a key. */
const MAX_PEM_FILE_BYTES = 64 * 1024;

/**
 * Credentials named in the configuration. Files are read at each use, so that a rotated password
 * takes effect without a restart; `check()` reads all once, so that a missing one is seen at start.
 */
export class ConfigCredentialStore implements CredentialStore {
  readonly #options: CredentialStoreOptions;
  #credentials: CredentialStoreOptions['credentials'];

  constructor(options: CredentialStoreOptions) {
    this.#options = options;
    this.#credentials = options.credentials;
  }

  /** All of them, in the place of those of now. They were checked. */
  replace(credentials: CredentialStoreOptions['credentials']): void {
    this.#credentials = credentials;
  }

  async check(): Promise<void> {
    for (const [name, config] of Object.entries(this.#credentials)) {
      await this.credential(name);
      const { password, clientCertificate, privateKeyFile } = config;
      const secrets = [
        ...(password?.from === 'file' ? [password.path] : []),
        ...(clientCertificate === undefined ? [] : [clientCertificate.keyFile]),
        ...(privateKeyFile === undefined ? [] : [privateKeyFile]),
      ];
      for (const file of secrets) {
        const { mode } = await stat(file);
        if ((mode & 0o077) !== 0) {
          this.#options.log.warn('credential.file_mode', {
            credential: name,
            file,
            message: 'other users of this machine can read the file; make it mode 0600',
          });
        }
      }
    }
  }

  userOf(name: string): string | undefined {
    return Object.hasOwn(this.#credentials, name) ? this.#credentials[name]?.user : undefined;
  }

  async credential(name: string): Promise<TargetCredential> {
    const found = Object.hasOwn(this.#credentials, name) ? this.#credentials[name] : undefined;
    if (found === undefined) {
      throw new HoopError('HOOP_CONFIG', `the gateway has no credential "${name}"`, {
        hint: 'An operator adds it under "credentials" in the gateway configuration.',
      });
    }
    return {
      user: found.user,
      password: found.password && (await this.#password(name, found.password)),
      clientCertificate:
        found.clientCertificate && (await readCertificate(name, found.clientCertificate)),
      privateKey: found.privateKeyFile
        ? await readPrivateKey(name, found.privateKeyFile)
        : undefined,
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

/** Both are read at each use, as passwords are: a renewed certificate needs no restart. */
async function readCertificate(name: string, files: CertificateFiles): Promise<ClientCertificate> {
  const certificate = await readPemFile(name, files.certFile);
  const privateKey = new Secret(await readPemFile(name, files.keyFile));
  try {
    createSecureContext({ cert: certificate, key: privateKey.expose() });
  } catch (cause) {
    throw new HoopError(
      'HOOP_CONFIG',
      `the client certificate of credential "${name}" cannot be used`,
      {
        detail: `"${files.certFile}" and "${files.keyFile}" are not a certificate and its key.`,
        hint: 'Both must be PEM, and the key without a passphrase.',
        cause,
      },
    );
  }
  return { certificate, privateKey };
}

async function readPrivateKey(name: string, path: string): Promise<Secret<string>> {
  const text = await readPemFile(name, path);
  if (!/^-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----/m.test(text)) {
    throw new HoopError(
      'HOOP_CONFIG',
      `"${path}" of credential "${name}" does not contain a private key`,
      {
        hint: 'It must be in PEM or OpenSSH format without a passphrase: the file that `ssh-keygen` creates, not the one that ends in .pub.',
      },
    );
  }
  return new Secret(text);
}

async function readPemFile(name: string, path: string): Promise<string> {
  try {
    const text = await readFile(path, 'utf8');
    if (text.length <= MAX_PEM_FILE_BYTES) {
      return text;
    }
  } catch (cause) {
    throw new HoopError('HOOP_CONFIG', `cannot read "${path}" of credential "${name}"`, { cause });
  }
  throw new HoopError('HOOP_CONFIG', `"${path}" of credential "${name}" is too large`);
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
      `"${path}" of credential "${name}" does not contain a password`,
      {
        detail: `The file must contain one line of 1 to ${MAX_PASSWORD_FILE_BYTES} bytes.`,
      },
    );
  }
  return password;
}
