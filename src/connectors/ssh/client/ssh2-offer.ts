/**
 * Holds back what ssh2 offers when keys are first exchanged, until the client has made its offer.
 * ssh2 sends its own as soon as the client has said what it is; so does nearly every client, and who
 * waits for ours has it a moment later. With ssh2-connection.ts the only file that touches what ssh2
 * (1.17.0, pinned) keeps private.
 */
import { ProtocolError } from '../../../errors.ts';
import { decodeKexInit, KEXINIT } from '../protocol/kex-init.ts';
import {
  OFFERED_HOST_KEYS,
  OFFERED_UNSEEN,
  type OfferedAlgorithms,
  offeredTo,
} from './offered-algorithms.ts';

interface Cipher {
  encrypt(packet: Buffer): void;
  allocPacket(length: number): Buffer;
  free(): void;
}

/** Of ssh2's Protocol: https://github.com/mscdex/ssh2/blob/v1.17.0/lib/protocol/kex.js */
export interface OfferingProtocol {
  _cipher: Cipher;
  readonly _decipher: { _onPayload: (payload: Buffer) => unknown };
  _kexinit: Buffer | undefined;
  _offer: KexOffer;
  /** It is of an exchange that the client has guessed wrong. */
  _skipNextInboundPacket: boolean;
  /** Sends KEXINIT, if none is on its way. */
  rekey(): void;
}

interface KexOffer {
  readonly lists: {
    readonly kex: { readonly array: readonly string[] };
    readonly serverHostKey: { readonly array: readonly string[] };
  };
}

/** A client on the same machine says within this what it offers, unless it waits for us. */
const OFFERS_WITHIN_MS = 300;

/** Call before ssh2 sends its offer. @returns to be called when the connection is over. */
export function holdOffer(protocol: OfferingProtocol): () => void {
  const { _cipher: cipher, _decipher: decipher } = protocol;
  const { _onPayload: onPayload } = decipher;
  const offer = (algorithms: OfferedAlgorithms): void => {
    clearTimeout(timer);
    decipher._onPayload = onPayload;
    protocol._cipher = cipher;
    protocol._offer = offerOf(protocol._offer, algorithms);
    protocol._kexinit = undefined;
    protocol.rekey();
  };
  const timer = setTimeout(() => offer(OFFERED_UNSEEN), OFFERS_WITHIN_MS);
  // What ssh2 sends now goes nowhere, and is not counted.
  protocol._cipher = {
    allocPacket: (length) => cipher.allocPacket(length),
    encrypt: () => undefined,
    free: () => {
      clearTimeout(timer);
      cipher.free();
    },
  };
  decipher._onPayload = (payload) => {
    if (payload[0] === KEXINIT) {
      offer(algorithmsFor(payload));
    }
    return withGuess(protocol, payload, onPayload);
  };
  return () => clearTimeout(timer);
}

/**
 * ssh2 takes every guess of a client for a wrong one, drops its next packet and waits for ever
 * (kex.js compares with the name that it has just put in place of the list). dropbear guesses.
 * @param payload that may be a KEXINIT, for `handle`, which is ssh2's
 */
export function withGuess(
  protocol: Pick<OfferingProtocol, '_offer' | '_skipNextInboundPacket'>,
  payload: Buffer,
  handle: (payload: Buffer) => unknown,
): unknown {
  const result = handle(payload);
  if (payload[0] === KEXINIT && protocol._skipNextInboundPacket) {
    const { kex, hostKey } = decodeKexInit(payload);
    const { lists } = protocol._offer;
    protocol._skipNextInboundPacket =
      kex[0] !== lists.kex.array[0] || hostKey[0] !== lists.serverHostKey.array[0];
  }
  return result;
}

function algorithmsFor(payload: Buffer): OfferedAlgorithms {
  try {
    return offeredTo(decodeKexInit(payload));
  } catch (error) {
    if (error instanceof ProtocolError) {
      // For ssh2 to refuse.
      return OFFERED_UNSEEN;
    }
    throw error;
  }
}

const SAFE_HOST_KEYS: ReadonlySet<string> = new Set(OFFERED_HOST_KEYS);

function offerOf(now: KexOffer, { cipher, mac }: OfferedAlgorithms): KexOffer {
  const direction = { cipher: [...cipher], mac: [...mac], compress: ['none'], lang: [] };
  const made: unknown = Reflect.construct(now.constructor, [
    {
      kex: [...now.lists.kex.array],
      // ssh2 adds ssh-rsa, which is SHA-1, to whatever is asked of it for an RSA key.
      serverHostKey: now.lists.serverHostKey.array.filter((name) => SAFE_HOST_KEYS.has(name)),
      cs: direction,
      sc: direction,
    },
  ]);
  // ssh2's own class has made it.
  return made as KexOffer;
}
