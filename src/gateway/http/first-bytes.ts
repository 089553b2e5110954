/**
 * Connections from when they are accepted until their TLS handshake begins. The socket of TLS and the
 * handshake cost the main thread a millisecond or more each, and the system hands over some five
 * hundred connections in one turn: so those that say nothing, or half of their first message, get
 * none, and of those that have said all of it a few begin in each turn, in order, and everybody else
 * goes on in between.
 *
 * Who has not said it holds a place. One address has a number of them, and there is a number for all;
 * who needs a place takes that of the oldest, since an honest client speaks as soon as it is connected.
 */
import type { Socket } from 'node:net';

export interface FirstBytesOptions {
  /** The handshake. */
  readonly begin: (socket: Socket) => void;
  /** Milliseconds for the first message. */
  readonly timeoutMs: number;
  /** How many handshakes one turn began; for tests. */
  readonly onTurn?: ((begun: number) => void) | undefined;
}

/** Some milliseconds of the main thread. */
const HANDSHAKES_PER_TURN = 4;
/** A network behind one address has a hundred people whose machines wake up at the same time. */
const MAX_SILENT_EACH = 512;
/** Of the 4,096 connections that there may be. */
const MAX_SILENT = 2048;

interface Silent {
  readonly socket: Socket;
  readonly address: string;
}

export class FirstBytes {
  readonly #options: FirstBytesOptions;
  /** In order of arrival, as those of each address. */
  readonly #silent = new Set<Silent>();
  readonly #byAddress = new Map<string, Set<Silent>>();
  /** They have spoken, and may have gone since. */
  readonly #spoken: Socket[] = [];
  #turn: NodeJS.Immediate | undefined;

  constructor(options: FirstBytesOptions) {
    this.#options = options;
  }

  accept(socket: Socket): void {
    // Whoever makes the handshake learns of errors; this keeps one from being thrown before.
    socket.on('error', () => undefined);
    const silent: Silent = { socket, address: socket.remoteAddress ?? '' };
    const ofAddress = this.#byAddress.get(silent.address) ?? new Set();
    makeRoom(ofAddress, MAX_SILENT_EACH);
    makeRoom(this.#silent, MAX_SILENT);
    this.#silent.add(silent);
    this.#byAddress.set(silent.address, ofAddress.add(silent));
    const first = new FirstMessage(socket);
    const onEnd = (): void => {
      socket.off('readable', onReadable).off('close', onEnd);
      clearTimeout(timer);
      this.#silent.delete(silent);
      ofAddress.delete(silent);
      const isLast = ofAddress.size === 0 && this.#byAddress.get(silent.address) === ofAddress;
      if (isLast) this.#byAddress.delete(silent.address);
    };
    const onReadable = (): void => {
      const hello = first.look();
      if (hello === 'half') return;
      onEnd();
      if (hello === 'whole') this.#queue(socket);
      else socket.destroy();
    };
    const timer = setTimeout(() => socket.destroy(), this.#options.timeoutMs);
    socket.on('readable', onReadable).on('close', onEnd);
  }

  #queue(socket: Socket): void {
    this.#spoken.push(socket);
    this.#turn ??= setImmediate(() => this.#beginSome());
  }

  #beginSome(): void {
    let begun = 0;
    while (begun < HANDSHAKES_PER_TURN) {
      const socket = this.#spoken.shift();
      if (socket === undefined) break;
      if (socket.destroyed) continue;
      begun += 1;
      this.#options.begin(socket);
    }
    this.#turn = this.#spoken.length > 0 ? setImmediate(() => this.#beginSome()) : undefined;
    this.#options.onTurn?.(begun);
  }
}

/** Looks whether the first message is there, and leaves it to be read. */
class FirstMessage {
  readonly #socket: Socket;
  /** Less says nothing new. What is read and given back is announced anew, so that is done for more alone. */
  #wanted = 1;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** @returns 'none': nothing comes that could be one */
  look(): 'whole' | 'half' | 'none' {
    for (;;) {
      // When there is less, it is not touched.
      const bytes: Buffer | null = this.#socket.read(this.#wanted);
      // Without any it was the end that came.
      if (bytes === null) return this.#socket.readableLength > 0 ? 'half' : 'none';
      if (bytes.length < this.#wanted) return 'none';
      this.#socket.unshift(bytes);
      const missing = missingOfHello(bytes);
      if (missing === undefined) return 'none';
      if (missing === 0) return 'whole';
      this.#wanted += missing;
    }
  }
}

/** What is destroyed leaves only when its turn comes: it gives up its place here. */
function makeRoom(places: Set<Silent>, max: number): void {
  const [oldest] = places;
  if (places.size < max || oldest === undefined) return;
  places.delete(oldest);
  oldest.socket.destroy();
}

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const RECORD_HEADER = 5;
const MESSAGE_HEADER = 4;
/** RFC 8446, 5.1: of one record. */
const MAX_RECORD = 16_384;
/** The longest that browsers send are two kilobytes; a ticket of ours is another one at the most. */
const MAX_HELLO = 16_384;
/** Who parts it says it in two or three; of one byte each they would be gone through again and again. */
const MAX_RECORDS = 16;

/**
 * How much of a client's first message is there: the ClientHello of TLS (RFC 8446, 4.1.2 and 5.1), in
 * one record or several. It is not read any further than its length: that is OpenSSL's business.
 * @param bytes all so far, from the first one
 * @returns bytes that have to come at the least until more can be said; 0: it is there, or is no
 *   ClientHello, which is answered at once; undefined: it is larger than any that is meant
 */
export function missingOfHello(bytes: Buffer): number | undefined {
  const message: Buffer[] = [];
  let have = 0;
  for (let at = 0, records = 0; ; records += 1) {
    if (records === MAX_RECORDS) return undefined;
    if (at < bytes.length && bytes[at] !== HANDSHAKE) return 0;
    const start = at + RECORD_HEADER;
    if (bytes.length < start) return start - bytes.length;
    const length = bytes.readUInt16BE(at + 3);
    // OpenSSL refuses them.
    if (length === 0 || length > MAX_RECORD) return 0;
    if (bytes.length < start + length) return start + length - bytes.length;
    message.push(bytes.subarray(start, start + length));
    have += length;
    at = start + length;
    if (have < MESSAGE_HEADER) continue;
    const head = Buffer.concat(message, MESSAGE_HEADER);
    if (head[0] !== CLIENT_HELLO) return 0;
    const wanted = MESSAGE_HEADER + head.readUIntBE(1, 3);
    if (wanted > MAX_HELLO) return undefined;
    if (have >= wanted) return 0;
  }
}
