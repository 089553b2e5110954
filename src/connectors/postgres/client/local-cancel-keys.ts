import { timingSafeEqual } from 'node:crypto';

interface LocalCancelKey {
  readonly secretKey: Uint8Array;
  /** Bytes that its client has sent so far, as the gateway counts them. */
  readonly sentBytes: () => number;
}

/**
 * The cancel keys that the gateway gave to connections of this port. A CancelRequest carries no
 * password, so one whose key was never given out here is not sent on.
 */
export class LocalCancelKeys {
  readonly #keys = new Map<number, LocalCancelKey>();

  add(processId: number, secretKey: Uint8Array, sentBytes: () => number): void {
    this.#keys.set(processId, { secretKey: secretKey.slice(), sentBytes });
  }

  remove(processId: number): void {
    this.#keys.delete(processId);
  }

  /** @returns bytes that the client of this key has sent so far; undefined: no such key. */
  sentBytes(processId: number, secretKey: Uint8Array): number | undefined {
    const key = this.#keys.get(processId);
    const isIt =
      key !== undefined &&
      key.secretKey.length === secretKey.length &&
      timingSafeEqual(key.secretKey, secretKey);
    return isIt ? key.sentBytes() : undefined;
  }
}
