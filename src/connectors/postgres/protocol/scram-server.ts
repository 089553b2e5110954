/**
 * The server's half of SCRAM-SHA-256(-PLUS): values in, values out. The nonce
 * is the caller's, fresh for every exchange; that alone makes a recorded exchange useless.
 */
import { pbkdf2Sync } from 'node:crypto';
import { ProtocolError } from '../../../errors.ts';
import { CHANNEL_BINDING_TYPE, channelBindingInput, gs2Header } from './channel-binding.ts';
import { preparePassword } from './saslprep.ts';
import {
  decodeBase64,
  encodeBase64,
  equalKeys,
  hmac,
  isNonce,
  SCRAM_KEY_LENGTH,
  type ScramVerifier,
  scramKeys,
  sha256,
  takeAttribute,
  xor,
} from './scram-sha-256.ts';

export interface ScramServerState {
  readonly verifier: ScramVerifier;
  readonly nonce: string;
  /** base64 of the GS2 header and the channel's data, which client-final must repeat. */
  readonly channelBinding: string;
  readonly clientFirstBare: string;
  readonly serverFirst: string;
}

export interface ScramServerFirst {
  /** Goes into AuthenticationSASLContinue. */
  readonly message: string;
  readonly state: ScramServerState;
}

export interface ScramServerFirstOptions {
  readonly clientFirst: string;
  readonly verifier: ScramVerifier;
  /** Printable ASCII without comma, from at least 18 random bytes as in PostgreSQL. */
  readonly serverNonce: string;
  /** Whether SCRAM-SHA-256-PLUS was among the mechanisms that this client was offered. */
  readonly plusOffered: boolean;
  /** The client chose SCRAM-SHA-256-PLUS: data of this connection's tls-server-end-point. */
  readonly channel?: Uint8Array | undefined;
}

/** Costs `iterations` rounds of PBKDF2: once per password, not per login. */
export function makeScramVerifier(options: {
  readonly password: string;
  readonly salt: Uint8Array;
  readonly iterations: number;
}): ScramVerifier {
  const salted = pbkdf2Sync(
    preparePassword(options.password),
    options.salt,
    options.iterations,
    SCRAM_KEY_LENGTH,
    'sha256',
  );
  const { storedKey, serverKey } = scramKeys(salted);
  return { salt: options.salt, iterations: options.iterations, storedKey, serverKey };
}

/**
 * Answers client-first. Its user name is not looked at: PostgreSQL's clients leave it empty, and
 * StartupMessage has the one that counts.
 * @throws ProtocolError on what RFC 5802 does not allow, and on channel binding (below).
 */
export function scramServerFirst(options: ScramServerFirstOptions): ScramServerFirst {
  const message = 'SCRAM client-first message';
  if (!isNonce(options.serverNonce)) {
    throw new TypeError('the server nonce must be printable ASCII without a comma');
  }
  const [flag = '', authorizationId = '', ...bare] = options.clientFirst.split(',');
  const channelBinding = bindingFor(flag, options);
  if (authorizationId !== '') {
    throw new ProtocolError(`${message} names an authorization identity`);
  }
  const clientFirstBare = bare.join(',');
  if (clientFirstBare.startsWith('m=')) {
    throw new ProtocolError(`${message} demands an extension that is not known`);
  }
  takeAttribute(bare, 'n', message);
  const clientNonce = takeAttribute(bare, 'r', message);
  if (!isNonce(clientNonce)) {
    throw new ProtocolError(`${message} has a malformed nonce`);
  }
  const { salt, iterations } = options.verifier;
  const nonce = clientNonce + options.serverNonce;
  const serverFirst = `r=${nonce},s=${encodeBase64(salt)},i=${iterations}`;
  return {
    message: serverFirst,
    state: {
      verifier: options.verifier,
      nonce,
      channelBinding: encodeBase64(channelBinding),
      clientFirstBare,
      serverFirst,
    },
  };
}

/**
 * Checks client-final.
 * @returns server-final for AuthenticationSASLFinal, or undefined: the password is wrong.
 * @throws ProtocolError if the message is malformed or belongs to another exchange.
 */
export function scramServerFinal(state: ScramServerState, clientFinal: string): string | undefined {
  const message = 'SCRAM client-final message';
  const proofAt = clientFinal.lastIndexOf(',p=');
  if (proofAt === -1) {
    throw new ProtocolError(`${message} has no proof`);
  }
  const withoutProof = clientFinal.slice(0, proofAt);
  const attributes = withoutProof.split(',');
  if (takeAttribute(attributes, 'c', message) !== state.channelBinding) {
    throw new ProtocolError(`${message} repeats another channel binding`);
  }
  if (takeAttribute(attributes, 'r', message) !== state.nonce) {
    throw new ProtocolError(`${message} has another nonce`);
  }
  const proof = decodeBase64(clientFinal.slice(proofAt + ',p='.length), message);
  if (proof.length !== SCRAM_KEY_LENGTH) {
    throw new ProtocolError(`${message} has a proof of ${proof.length} bytes`);
  }
  const authMessage = `${state.clientFirstBare},${state.serverFirst},${withoutProof}`;
  const { storedKey, serverKey } = state.verifier;
  const clientKey = xor(proof, hmac(storedKey, authMessage));
  return equalKeys(sha256(clientKey), storedKey)
    ? `v=${encodeBase64(hmac(serverKey, authMessage))}`
    : undefined;
}

/**
 * RFC 5802 §6: "y" says "I can bind, but think that you cannot". If -PLUS was offered, somebody
 * between took it away; if not, "y" is the truth. "p=…" belongs to -PLUS and to nothing else.
 * @returns what attribute "c" of client-final must hold.
 */
function bindingFor(
  flag: string,
  { plusOffered, channel }: Pick<ScramServerFirstOptions, 'plusOffered' | 'channel'>,
): Uint8Array {
  if (flag.startsWith('p=')) {
    if (channel === undefined) {
      throw new ProtocolError('SCRAM-SHA-256 was chosen with channel binding data');
    }
    if (flag !== `p=${CHANNEL_BINDING_TYPE}`) {
      throw new ProtocolError('SCRAM channel binding of a type that is not supported');
    }
    return channelBindingInput({ flag: 'p', data: channel });
  }
  if (flag !== 'n' && flag !== 'y') {
    throw new ProtocolError('SCRAM client-first message has a malformed channel binding flag');
  }
  if (channel !== undefined) {
    throw new ProtocolError('SCRAM-SHA-256-PLUS was chosen without channel binding data');
  }
  if (flag === 'y' && plusOffered) {
    throw new ProtocolError('SCRAM channel binding was negotiated away');
  }
  return Buffer.from(gs2Header({ flag }));
}
