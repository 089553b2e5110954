/**
 * One local connection as ssh2 serves it: transport, key exchange and the syntax of logins (RFC
 * 4253, 4252). What comes after the login goes around ssh2: its channels do not enforce windows,
 * drop data, and cannot carry all that ssh(1) says. With ssh2-offer.ts this is the only file that touches
 * what ssh2 keeps private (1.17.0, pinned): the way of a decrypted payload, and the packets of its writer.
 */
import type { Socket } from 'node:net';
import type { AuthContext, Connection } from 'ssh2';
import { FIRST_CONNECTION_MESSAGE } from '../protocol/client-message.ts';
import type { DownFrame } from '../protocol/frame.ts';
import { ssh2 } from '../shared/ssh2.ts';
import { Ssh2Ciphers } from '../shared/ssh2-ciphers.ts';
import { OFFERED_HOST_KEYS, OFFERED_KEX, OFFERED_UNSEEN } from './offered-algorithms.ts';
import type { SshKeyPair } from './ssh-keys.ts';
import { holdOffer, type OfferingProtocol, withGuess } from './ssh2-offer.ts';

/** Of ssh2's Protocol: https://github.com/mscdex/ssh2/blob/v1.17.0/lib/protocol/Protocol.js */
export interface Ssh2Protocol extends OfferingProtocol {
  _onPayload: (payload: Buffer) => unknown;
  readonly _packetRW: {
    readonly write: {
      alloc(length: number, force: boolean): Buffer;
      readonly allocStartKEX: number;
    };
  };
  channelOpenConfirm(client: number, own: number, window: number, maxPacket: number): void;
  channelOpenFail(client: number, reason: number, message: string): void;
  channelData(client: number, data: Buffer): void;
  channelExtData(client: number, data: Buffer, type: number): void;
  channelWindowAdjust(client: number, bytes: number): void;
  channelEOF(client: number): void;
  channelClose(client: number): void;
  channelSuccess(client: number): void;
  channelFailure(client: number): void;
  exitStatus(client: number, status: number): void;
  exitSignal(client: number, name: string, coreDumped: boolean, message: string): void;
  requestFailure(): void;
}

const METHODS = [
  'channelOpenConfirm',
  'channelOpenFail',
  'channelData',
  'channelExtData',
  'channelWindowAdjust',
  'channelEOF',
  'channelClose',
  'channelSuccess',
  'channelFailure',
  'exitStatus',
  'exitSignal',
  'requestFailure',
  'rekey',
  '_onPayload',
] as const satisfies readonly (keyof Ssh2Protocol)[];
const OBJECTS = [
  '_packetRW',
  '_cipher',
  '_decipher',
  '_offer',
] as const satisfies readonly (keyof Ssh2Protocol)[];

/**
 * Clients speak OpenSSH's extensions only to who calls itself OpenSSH. `eow` is the one that is
 * missed: without it `ssh host yes | head -1` never ends. The version is one without old faults,
 * for which clients have exceptions.
 */
const IDENTIFICATION = 'OpenSSH_9.9 hoop';
/** 24 days, the longest that a timer takes: a client that is stopped (Ctrl-Z) is not gone. */
const NO_KEEPALIVE_MS = 2 ** 31 - 1;
/** RFC 4253 §11.1. */
const DISCONNECT_MESSAGE = 1;
export const DISCONNECT = {
  protocolError: 2,
  byApplication: 11,
  noMoreMethods: 14,
} as const;
/** OpenSSH shows so many characters. */
const MAX_REASON_LENGTH = 400;

/** https://www.rfc-editor.org/rfc/rfc4254#section-5.2 */
const STDERR = 1;
/** As OpenSSH offers it; a longer packet is taken as well (ssh2.ts). */
export const MAX_PACKET_BYTES = 32 * 1024;
/** Bytes for the local client that the system has not taken yet, from which on channels wait. */
const SEND_BUFFER_BYTES = 256 * 1024;

export interface Ssh2Events {
  /** The client has said what it is: `OpenSSH_9.2p1`. */
  readonly onIdentified: (software: string) => void;
  readonly onLogin: (attempt: AuthContext) => void;
  /** A message of the connection protocol; the bytes are used again after the call. */
  readonly onMessage: (payload: Buffer) => void;
  /** There is room for data again. */
  readonly onDrain: () => void;
  /** What ssh2 does not accept. */
  readonly onError: (error: Error) => void;
}

export class Ssh2Connection {
  readonly #socket: Socket;
  #protocol: Ssh2Protocol | undefined;

  /** @param socket accepted by somebody else, nothing read from it yet */
  constructor(socket: Socket, hostKeys: readonly SshKeyPair[], events: Ssh2Events) {
    this.#socket = socket;
    const server = new ssh2.Server(
      {
        hostKeys: hostKeys.map(({ privateKey }) => privateKey.expose()),
        ident: IDENTIFICATION,
        algorithms: {
          kex: [...OFFERED_KEX],
          serverHostKey: [...OFFERED_HOST_KEYS],
          // These two depend on the client: ssh2-offer.ts puts in those of offered-algorithms.ts.
          cipher: [...OFFERED_UNSEEN.cipher],
          hmac: [...OFFERED_UNSEEN.mac],
          compress: ['none'],
        },
        keepaliveInterval: NO_KEEPALIVE_MS,
      },
      (client, { header }) => {
        const { identRaw } = header;
        client.on('error', (error) => events.onError(error));
        client.on('authentication', (attempt) => events.onLogin(attempt));
        const protocol = protocolOf(client);
        socket.once('close', holdOffer(protocol));
        const ciphers = new Ssh2Ciphers();
        const before = protocol._onPayload;
        protocol._onPayload = (payload) => {
          ciphers.tune(protocol);
          const [type = 0] = payload;
          if (type < FIRST_CONNECTION_MESSAGE) {
            return withGuess(protocol, payload, before);
          }
          events.onMessage(payload);
          // Anything else would stop its decoder.
          return undefined;
        };
        this.#protocol = protocol;
        events.onIdentified(identRaw.trim().replace(/^SSH-2\.0-/, ''));
      },
    );
    server.injectSocket(socket);
    socket.on('drain', () => events.onDrain());
  }

  /** Data beyond it would only wait in memory. */
  get hasRoom(): boolean {
    return this.#socket.writableLength < SEND_BUFFER_BYTES;
  }

  /** The client is there, and reads. */
  get isOpen(): boolean {
    return this.#protocol !== undefined && this.#socket.writable && !this.#socket.readableEnded;
  }

  /** For messages of the connection protocol; undefined: nobody reads them any more. */
  get messages(): Ssh2Messages | undefined {
    return this.isOpen ? this.#protocol : undefined;
  }

  sendStderr(client: number, data: Buffer): void {
    this.messages?.channelExtData(client, data, STDERR);
  }

  sendExitSignal(client: number, signal: ExitSignal): void {
    try {
      this.messages?.exitSignal(client, signal.name, signal.coreDumped, signal.message);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('Invalid signal'))) {
        throw error;
      }
      // One that RFC 4254 does not name. ssh(1) ends with this status after any signal.
      this.messages?.exitStatus(client, 255);
    }
  }

  /** Says why, and that it is the end; ssh2's own message has no words. */
  disconnect(reason: number, words: string): void {
    if (this.isOpen && this.#protocol !== undefined) {
      const { _packetRW, _cipher } = this.#protocol;
      const payload = disconnectMessage(reason, words);
      // Also during a key exchange, which everything else waits for.
      const packet = _packetRW.write.alloc(payload.length, true);
      packet.set(payload, _packetRW.write.allocStartKEX);
      _cipher.encrypt(packet);
    }
  }
}

type ExitSignal = Pick<
  Extract<DownFrame, { type: 'exitSignal' }>,
  'name' | 'coreDumped' | 'message'
>;

export type Ssh2Messages = Pick<
  Ssh2Protocol,
  Extract<keyof Ssh2Protocol, `channel${string}` | `exit${string}` | 'requestFailure'>
>;

function disconnectMessage(reason: number, words: string): Buffer {
  const text = Buffer.from(words.replaceAll(/[\p{Cc}\s]+/gu, ' ').slice(0, MAX_REASON_LENGTH));
  const payload = Buffer.alloc(1 + 4 + 4 + text.length + 4);
  payload[0] = DISCONNECT_MESSAGE;
  payload.writeUInt32BE(reason, 1);
  payload.writeUInt32BE(text.length, 5);
  payload.set(text, 9);
  return payload;
}

/** @throws TypeError with another ssh2 than the one that this was written for */
function protocolOf(client: Connection): Ssh2Protocol {
  const protocol: unknown = Reflect.get(client, '_protocol');
  if (!isProtocol(protocol)) {
    throw new TypeError('this is not ssh2 1.17.0: it keeps its messages elsewhere');
  }
  return protocol;
}

function isProtocol(value: unknown): value is Ssh2Protocol {
  return (
    typeof value === 'object' &&
    value !== null &&
    METHODS.every((name) => typeof Reflect.get(value, name) === 'function') &&
    OBJECTS.every((name) => {
      const member: unknown = Reflect.get(value, name);
      return typeof member === 'object' && member !== null;
    })
  );
}
