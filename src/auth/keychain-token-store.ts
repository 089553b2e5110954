/**
 * Tokens in the OS keychain. `@napi-rs/keyring` also has an entry with keytar's functions, but
 * that one cannot name a store: on Linux it would silently fall back to the kernel's keyring,
 * which forgets everything at the next boot. So its own API is used, pinned to the Secret Service.
 */
import { randomBytes } from 'node:crypto';
import { HoopError } from '../errors.ts';
import { inTime } from '../until.ts';
import { parseTokenRecord, type TokenRecord, type TokenStore } from './token-record.ts';

const SERVICE = 'hoop';
/** A locked keychain may ask its owner for a password first. */
const KEYCHAIN_TIMEOUT_MS = 60_000;

type Keyring = typeof import('@napi-rs/keyring');
type Entry = InstanceType<Keyring['AsyncEntry']>;

export class KeychainTokenStore implements TokenStore {
  readonly description: string;
  readonly #keyring: Keyring;
  readonly #home: string;

  private constructor(keyring: Keyring, home: string) {
    this.#keyring = keyring;
    this.#home = home;
    this.description = `keychain (${keychainName()})`;
  }

  /**
   * @param home state directory: each HOOP_HOME has logins of its own
   * @throws HoopError HOOP_LOCAL_STATE when there is no keychain to talk to
   */
  static async open(home: string): Promise<KeychainTokenStore> {
    let keyring: Keyring;
    try {
      keyring = await import('@napi-rs/keyring');
    } catch (cause) {
      throw unavailable(cause);
    }
    return new KeychainTokenStore(keyring, home);
  }

  /** Whether it really keeps things: a locked keychain reads as empty and fails only on writing. */
  async probe(withinMs = KEYCHAIN_TIMEOUT_MS): Promise<void> {
    const account = `probe ${randomBytes(8).toString('hex')}`;
    const value = randomBytes(16).toString('hex');
    const setAndGet = async (entry: Entry) => {
      await entry.setPassword(value);
      const found = await entry.getPassword();
      await entry.deletePassword();
      return found;
    };
    const stored = await this.#use(account, setAndGet, withinMs);
    if (stored !== value) {
      throw unavailable(new Error('it did not return what was stored'));
    }
  }

  async read(gateway: string): Promise<TokenRecord | undefined> {
    const text = await this.#use(this.#account(gateway), (entry) => entry.getPassword());
    // The package's types say null; older builds gave undefined.
    return text === null || text === undefined
      ? undefined
      : parseTokenRecord(parseJson(text), 'keychain');
  }

  async write(gateway: string, record: TokenRecord): Promise<void> {
    const text = JSON.stringify(record);
    await this.#use(this.#account(gateway), (entry) => entry.setPassword(text));
  }

  async remove(gateway: string): Promise<boolean> {
    return this.#use(this.#account(gateway), (entry) => entry.deletePassword());
  }

  #account(gateway: string): string {
    return `${gateway} (${this.#home})`;
  }

  async #use<T>(
    account: string,
    act: (entry: Entry) => Promise<T>,
    withinMs = KEYCHAIN_TIMEOUT_MS,
  ): Promise<T> {
    try {
      // The constructor itself throws when no Secret Service answers.
      const entry = new this.#keyring.AsyncEntry(SERVICE, account, {
        linux: { store: 'secret-service' },
      });
      const late = () => new Error(`it did not answer within ${withinMs / 1000} s`);
      return await inTime(act(entry), withinMs, late);
    } catch (cause) {
      throw unavailable(cause);
    }
  }
}

function keychainName(): string {
  switch (process.platform) {
    case 'darwin':
      return 'macOS Keychain';
    case 'win32':
      return 'Windows Credential Manager';
    default:
      return 'Secret Service';
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function unavailable(cause: unknown): HoopError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new HoopError('HOOP_LOCAL_STATE', 'the keychain cannot be used', {
    detail: `${keychainName()}: ${reason.replace(/\.$/, '')}.`,
    hint: 'Unlock or start it, or set HOOP_TOKEN_STORE=file to keep tokens in a file.',
    cause,
  });
}
