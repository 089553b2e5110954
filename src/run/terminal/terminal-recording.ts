/**
 * What the program of a run shows on its terminal, for the recordings of all sessions of the run:
 * each gets what was shown before it was opened, as far as it is kept, and then what comes. What is
 * typed is not recorded. Nobody waits for it: what a session cannot take in time is left out there,
 * and a line says so.
 */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { castEvent, castHeader, castSize } from '../../recording/formats/asciicast.ts';

/** What is kept for sessions that are opened later. */
export const KEPT_BYTES = 256 * 1024;
/** Waiting to be sent in one session; more is left out. */
export const WAITING_BYTES = 1 << 20;
/** In one session. The gateway takes a little more. */
export const SESSION_BYTES = 64 << 20;
/** What is shown within this time is one line. */
const GATHER_MS = 50;
const GATHER_BYTES = 16 * 1024;
/** For what waits at the end of the run. */
const END_WITHIN_MS = 3000;

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

export interface TerminalRecordingOptions {
  readonly size: TerminalSize;
  /** Wall clock, ms. */
  readonly clock: () => number;
}

interface KeptLine {
  readonly bytes: Buffer;
  /** It is a change of size, to this. */
  readonly size?: TerminalSize;
}

export class TerminalRecording {
  readonly #clock: () => number;
  readonly #startedMs: number;
  /** Bytes of a character may come in two pieces. */
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  readonly #taps = new Set<Tap>();
  readonly #kept: KeptLine[] = [];
  #keptBytes = 0;
  #forgottenBytes = 0;
  /** Before the first line that is kept. */
  #sizeBefore: TerminalSize;
  #text = '';
  #textMs = 0;
  #gathering: NodeJS.Timeout | undefined;

  constructor({ size, clock }: TerminalRecordingOptions) {
    this.#clock = clock;
    this.#startedMs = clock();
    this.#sizeBefore = size;
  }

  /** Bytes that are written to the terminal. */
  shown(bytes: Uint8Array): void {
    if (this.#text === '') {
      this.#textMs = this.#nowMs();
      this.#gathering ??= setTimeout(() => this.#flush(), GATHER_MS).unref();
    }
    for (let at = 0; at < bytes.length; at += GATHER_BYTES) {
      this.#text += this.#decoder.decode(bytes.subarray(at, at + GATHER_BYTES), { stream: true });
      if (this.#text.length >= GATHER_BYTES) {
        this.#flush();
        this.#textMs = this.#nowMs();
      }
    }
  }

  resized(size: TerminalSize): void {
    this.#flush();
    this.#add({ bytes: castEvent(this.#nowMs(), 'r', castSize(size.columns, size.rows)), size });
  }

  /** From now on into this stream of a session as well. It is ended by `end`. */
  record(stream: Duplex): void {
    this.#flush();
    const tap = new Tap(stream, () => this.#nowMs());
    tap.add(castHeader({ ...this.#sizeBefore, startedMs: this.#startedMs }));
    if (this.#forgottenBytes > 0) {
      tap.note(`${this.#forgottenBytes} bytes that were shown earlier are not recorded here`);
    }
    for (const { bytes } of this.#kept) {
      tap.add(bytes);
    }
    this.#taps.add(tap);
    stream.once('close', () => this.#taps.delete(tap));
  }

  /** Nothing is shown any more: what is recorded of it gets its time to arrive. */
  async end(): Promise<void> {
    this.#text += this.#decoder.decode();
    this.#flush();
    const signal = AbortSignal.timeout(END_WITHIN_MS);
    await Promise.all([...this.#taps].map((tap) => tap.end(signal)));
  }

  #nowMs(): number {
    return Math.max(0, this.#clock() - this.#startedMs);
  }

  #flush(): void {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    if (this.#text !== '') {
      const text = this.#text;
      this.#text = '';
      this.#add({ bytes: castEvent(this.#textMs, 'o', text) });
    }
  }

  #add(line: KeptLine): void {
    for (const tap of this.#taps) {
      tap.add(line.bytes);
    }
    this.#kept.push(line);
    this.#keptBytes += line.bytes.length;
    while (this.#keptBytes > KEPT_BYTES) {
      const first = this.#kept.shift();
      const length = first?.bytes.length ?? 0;
      this.#keptBytes -= length;
      this.#forgottenBytes += length;
      this.#sizeBefore = first?.size ?? this.#sizeBefore;
    }
  }
}

/** Into one session. */
class Tap {
  readonly #stream: Duplex;
  readonly #nowMs: () => number;
  #sent = 0;
  #missing = 0;

  constructor(stream: Duplex, nowMs: () => number) {
    this.#stream = stream;
    this.#nowMs = nowMs;
    // The session says itself why it has ended; nothing comes down but the end.
    stream.on('error', () => undefined).resume();
  }

  add(line: Buffer): void {
    if (!this.#stream.writable) {
      return;
    }
    if (this.#sent + this.#missing + line.length > SESSION_BYTES) {
      this.note(`the recording of the terminal ends here, at ${SESSION_BYTES >> 20} MiB`);
      this.#stream.end();
    } else if (this.#stream.writableLength + line.length > WAITING_BYTES) {
      this.#missing += line.length;
    } else {
      this.#noteMissing();
      this.#write(line);
    }
  }

  note(text: string): void {
    this.#write(castEvent(this.#nowMs(), 'm', `hoop: ${text}`));
  }

  async end(signal: AbortSignal): Promise<void> {
    if (this.#stream.writable) {
      this.#noteMissing();
      this.#stream.end();
    }
    if (!this.#stream.closed) {
      // An error, or one that takes too long: the session ends without it.
      await once(this.#stream, 'close', { signal }).catch(() => undefined);
    }
  }

  #noteMissing(): void {
    if (this.#missing > 0) {
      this.note(`${this.#missing} bytes came too fast and are not recorded here`);
      this.#sent += this.#missing;
      this.#missing = 0;
    }
  }

  #write(line: Buffer): void {
    this.#sent += line.length;
    this.#stream.write(line);
  }
}
