/**
 * Refresh handles are `hr1.<family>.<generation>.<mac>`: the store needs to keep a counter for
 * each login and nothing that could be stolen from it. The same generation always gives the same
 * handle, so a client whose reply was lost can simply ask again.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../../../secret.ts';
import { tokenError } from './token-error.ts';

const PATTERN = /^hr1\.([A-Za-z0-9_-]{22})\.(0|[1-9]\d{0,8})\.([A-Za-z0-9_-]{43})$/;

export interface RefreshHandle {
  readonly family: string;
  readonly generation: number;
}

export class RefreshHandles {
  readonly #key: Uint8Array;

  /** @param key for this use alone: a new one ends all logins */
  constructor(key: Secret<Uint8Array>) {
    this.#key = key.expose();
  }

  encode({ family, generation }: RefreshHandle): string {
    return `hr1.${family}.${generation}.${this.#mac(family, generation)}`;
  }

  /** @throws HoopError HOOP_TOKEN_MALFORMED, HOOP_TOKEN_SIGNATURE */
  decode(text: string): RefreshHandle {
    const [, family, digits, mac] = PATTERN.exec(text) ?? [];
    if (family === undefined || digits === undefined || mac === undefined) {
      throw tokenError('HOOP_TOKEN_MALFORMED', 'the refresh handle is malformed');
    }
    const generation = Number(digits);
    if (!timingSafeEqual(Buffer.from(mac), Buffer.from(this.#mac(family, generation)))) {
      throw tokenError('HOOP_TOKEN_SIGNATURE', 'the refresh handle was not issued by this gateway');
    }
    return { family, generation };
  }

  /** @returns the login of a handle that was made here; undefined for any other text */
  familyOf(text: string): string | undefined {
    try {
      return this.decode(text).family;
    } catch {
      return undefined;
    }
  }

  #mac(family: string, generation: number): string {
    return createHmac('sha256', this.#key).update(`${family}.${generation}`).digest('base64url');
  }
}
