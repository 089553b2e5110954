import { timingSafeEqual } from 'node:crypto';
import type { CancelRegistry } from './types.ts';

interface CancelKey {
  readonly secretKey: Uint8Array;
  readonly cancel: (sentBefore: number | undefined) => Promise<void>;
  readonly stream: number;
}

/** The cancel keys of one session: a key of another session is not found here, whatever it is. */
export function createCancelRegistry(): CancelRegistry {
  const keys = new Map<number, CancelKey>();
  return {
    add(processId, secretKey, cancel, stream) {
      keys.set(processId, { secretKey, cancel, stream });
    },
    remove(processId) {
      keys.delete(processId);
    },
    async cancel(processId, secretKey, sentBefore) {
      const key = keys.get(processId);
      if (key === undefined || !isEqual(key.secretKey, secretKey)) return undefined;
      await key.cancel(sentBefore);
      return key.stream;
    },
  };
}

function isEqual(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}
