import { timingSafeEqual } from 'node:crypto';

/**
 * The cancel keys that the gateway gave to connections of this port. A CancelRequest carries no
 * password, so one whose key was never given out here is not sent on.
 */
export class LocalCancelKeys {
  readonly #keys = new Map<number, Uint8Array>();

  add(processId: number, secretKey: Uint8Array): void {
    this.#keys.set(processId, secretKey.slice());
  }

  remove(processId: number): void {
    this.#keys.delete(processId);
  }

  has(processId: number, secretKey: Uint8Array): boolean {
    const key = this.#keys.get(processId);
    return key !== undefined && key.length === secretKey.length && timingSafeEqual(key, secretKey);
  }
}
