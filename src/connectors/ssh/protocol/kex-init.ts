/** What a client offers when keys are exchanged, as far as it decides what is offered to it. */
import { PacketReader } from './packet-reader.ts';

/** https://www.rfc-editor.org/rfc/rfc4253#section-7.1 */
export const KEXINIT = 20;
const COOKIE_BYTES = 16;
/** https://github.com/openssh/openssh-portable/blob/master/PROTOCOL, section 1.10 */
const STRICT = 'kex-strict-c-v00@openssh.com';

export interface KexInit {
  /** It numbers packets anew behind each key exchange: none can be taken away before it unnoticed. */
  readonly isStrict: boolean;
  readonly kex: readonly string[];
  readonly hostKey: readonly string[];
  /** Of client to server, and of server to client. */
  readonly ciphers: readonly [readonly string[], readonly string[]];
  /** The next packet is of the exchange that the first of its names would lead to. */
  readonly guesses: boolean;
}

/** @param payload of a KEXINIT. @throws ProtocolError */
export function decodeKexInit(payload: Uint8Array): KexInit {
  const reader = new PacketReader(payload, 1 + COOKIE_BYTES);
  const list = (): string[] => reader.string().toString('latin1').split(',');
  const kex = list();
  const hostKey = list();
  const ciphers = [list(), list()] as const;
  for (const _ of ['MAC', 'MAC', 'compression', 'compression', 'language', 'language']) {
    list();
  }
  return { isStrict: kex.includes(STRICT), kex, hostKey, ciphers, guesses: reader.boolean() };
}
