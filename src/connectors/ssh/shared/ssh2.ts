/**
 * ssh2 (1.17.0, pinned), with packets as long as OpenSSH takes them. ssh2 ends a connection without a
 * word at 35,000 bytes, which RFC 4253 §6.1 has as the least; a command is one packet. The number is
 * a constant within a module, so it is put in where the module is read. Everybody has ssh2 from here,
 * since whoever loads it first has it as it is.
 *
 * In the list of signatures that ssh2's server takes a comma is missing, which makes one unknown name
 * of two known ones: a client that signs with RSA and SHA-512 only would not get in.
 */
import { createRequire, registerHooks } from 'node:module';

/** Of OpenSSH (packet.c). */
export const MAX_PACKET_BYTES = 256 * 1024;
const CRYPTO = 'ssh2/lib/protocol/crypto.js';
const LIMIT = 'const MAX_PACKET_SIZE = 35000;';
/** What holds now, for the check below. */
const TOLD = '\nmodule.exports.maxPacketSize = MAX_PACKET_SIZE;\n';
const RAISED = `const MAX_PACKET_SIZE = ${MAX_PACKET_BYTES};`;
const PROTOCOL = 'ssh2/lib/protocol/Protocol.js';
const SIGNATURES = "+ 'rsa-sha2-512,rsa-sha2-256,ssh-rsa,ssh-dss'";
const SAFE_SIGNATURES = "+ ',rsa-sha2-512,rsa-sha2-256'";

function load(): typeof import('ssh2') {
  const require = createRequire(import.meta.url);
  const hooks = registerHooks({
    load(url, context, next) {
      const loaded = next(url, context);
      if (url.endsWith(`/${CRYPTO}`)) {
        return { ...loaded, source: `${String(loaded.source).replace(LIMIT, RAISED)}${TOLD}` };
      }
      return url.endsWith(`/${PROTOCOL}`)
        ? { ...loaded, source: String(loaded.source).replace(SIGNATURES, SAFE_SIGNATURES) }
        : loaded;
    },
  });
  try {
    const loaded: typeof import('ssh2') = require('ssh2');
    const crypto: { readonly maxPacketSize?: unknown } = require(CRYPTO);
    if (crypto.maxPacketSize !== MAX_PACKET_BYTES) {
      throw new TypeError('this is not ssh2 1.17.0, or somebody else has loaded it first');
    }
    return loaded;
  } finally {
    hooks.deregister();
  }
}

export const ssh2 = load();
