/**
 * ssh2 has a part in C++ that encrypts a packet in one call. It is built for one version of Node.js
 * when it is installed; where it does not fit, ssh2 goes on without, and says nothing.
 */
import { createRequire } from 'node:module';
import '../shared/ssh2.ts';

export function isSsh2BindingLoaded(): boolean {
  const crypto: unknown = createRequire(import.meta.url)('ssh2/lib/protocol/crypto.js');
  return (
    typeof crypto === 'object' &&
    crypto !== null &&
    Reflect.get(crypto, 'bindingAvailable') === true
  );
}
