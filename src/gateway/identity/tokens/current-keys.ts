/**
 * The gateway's keys, renewed while it runs: one that is up for months must not hand out
 * certificates of a session CA that has ended meanwhile.
 */
import { join } from 'node:path';
import { type GatewayKeys, openGatewayKeys } from '../../../recording/keys/gateway-keys.ts';
import { lockFile } from '../../base/file-lock.ts';
import { errorFields, type Log } from '../../base/log.ts';

/** Keys are due days before they end: openGatewayKeys says how many. */
const CHECK_EVERY_MS = 6 * 60 * 60_000;
/** Making keys takes milliseconds. */
const LOCK_WAIT_MS = 10_000;

export interface CurrentKeysOptions {
  readonly directory: string;
  /** Its name. */
  readonly gateway: string;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly log: Log;
}

export class CurrentKeys {
  readonly #options: CurrentKeysOptions;
  #keys: GatewayKeys;
  #checkedAtMs: number;

  /** @throws HoopError HOOP_CONFIG */
  constructor(options: CurrentKeysOptions) {
    this.#options = options;
    this.#checkedAtMs = options.clock();
    this.#keys = this.#open(this.#checkedAtMs);
  }

  get(): GatewayKeys {
    const { clock, log } = this.#options;
    const nowMs = clock();
    // Also when the clock was set back: keys that were made while it was ahead are not valid yet.
    if (Math.abs(nowMs - this.#checkedAtMs) >= CHECK_EVERY_MS) {
      this.#checkedAtMs = nowMs;
      try {
        const { keyringVersion } = this.#keys;
        this.#keys = this.#open(nowMs);
        if (this.#keys.keyringVersion !== keyringVersion) {
          log.info('keys.renewed', { keyring: this.#keys.keyringVersion });
        }
      } catch (error) {
        // The old ones are good for some days more; the root key may have to be brought.
        log.error('keys.renewal_failed', errorFields(error));
      }
    }
    return this.#keys;
  }

  #open(nowMs: number): GatewayKeys {
    const { directory, gateway } = this.#options;
    // Two nodes that share the directory make and renew keys one after the other: the second finds
    // those of the first.
    using _ = lockFile(join(directory, 'lock'), LOCK_WAIT_MS);
    return openGatewayKeys({ directory, gateway, nowMs });
  }
}
