/**
 * Where the events say that data lies, held against the manifest: the pieces of each stream and
 * direction must follow each other without gap or overlap up to its total, and no other stream may
 * have any. The content of a piece is in the leaves, which tile the same totals: so each byte that is
 * shown at some time is one byte that was signed, and each signed byte is shown once.
 */
import { FormatError } from '../format-error.ts';
import type { DataPlace } from './frame-digest.ts';
import type { Manifest } from './manifest.ts';
import { decodeRepair, isRepairSigned } from './repair-body.ts';
import { CONTROL_STREAM, type Direction } from './types.ts';

/** What a client may say that it received and the gateway has lost, in all. */
const MAX_REPAIRED_BYTES = 16 << 20;

export class VerifiedPlaces {
  readonly #manifest: Manifest;
  readonly #clientKey: Uint8Array;
  readonly #totals = new Map<string, number>();
  readonly #kinds = new Map<number, string>();
  readonly #at = new Map<string, number>();
  readonly #opened = new Map<number, unknown>();
  readonly #repaired = new Map<string, number>();
  #repairs = 0;
  #repairedBytes = 0;
  #hasRecovered = false;
  #hasWithheld = false;

  constructor(manifest: Manifest, clientKey: Uint8Array) {
    this.#manifest = manifest;
    this.#clientKey = clientKey;
    for (const { stream, kind, up, down } of manifest.streams) {
      this.#kinds.set(stream, kind);
      this.#totals.set(keyOf(stream, 0), up);
      this.#totals.set(keyOf(stream, 1), down);
    }
  }

  /** From here on what is missing may be in what was withheld. */
  withheld(): void {
    this.#hasWithheld = true;
  }

  recovered(): void {
    this.#hasRecovered = true;
  }

  /** @throws FormatError */
  data({ stream, direction, offset, length }: DataPlace): void {
    const key = keyOf(stream, direction);
    const at = this.#at.get(key) ?? 0;
    const total = this.#totals.get(key);
    const isNext = this.#hasWithheld ? offset >= at : offset === at;
    if (!isNext || length === 0 || this.#repaired.has(key)) {
      throw new FormatError(`the events have a gap in stream ${stream}`);
    }
    if (total === undefined || offset + length > total) {
      throw new FormatError(`the events have data of stream ${stream} that nobody signed`);
    }
    if (stream !== CONTROL_STREAM && !this.#opened.has(stream) && !this.#hasWithheld) {
      throw new FormatError(`the events have data of stream ${stream} before it was opened`);
    }
    this.#at.set(key, offset + length);
  }

  /** @throws FormatError */
  event(event: unknown): void {
    if (!isStreamOpen(event)) {
      return;
    }
    const { stream, kind } = event;
    if (this.#opened.has(stream) || this.#kinds.get(stream) !== kind) {
      throw new FormatError(`the events open stream ${stream} otherwise than the manifest says`);
    }
    this.#opened.set(stream, kind);
  }

  /** @throws FormatError */
  repair(body: Uint8Array): void {
    const { session, lost } = this.#manifest;
    const repair = decodeRepair(body);
    const { stream, direction, offset, bytes } = repair;
    const key = keyOf(stream, direction);
    const from = this.#repaired.get(key) ?? this.#totals.get(key);
    const listed = lost[this.#repairs];
    this.#repairs += 1;
    this.#repairedBytes += bytes.length;
    if (!this.#hasRecovered || stream === CONTROL_STREAM || from !== offset) {
      throw new FormatError(`bytes of stream ${stream} were sent back that cannot have been lost`);
    }
    if (this.#repairedBytes > MAX_REPAIRED_BYTES) {
      throw new FormatError('more bytes were sent back than a gateway can lose');
    }
    if (!isRepairSigned(this.#clientKey, session, repair)) {
      throw new FormatError(`the client's signature of bytes of stream ${stream} does not fit`);
    }
    if (
      listed?.stream !== stream ||
      listed.direction !== direction ||
      listed.from !== offset ||
      listed.to !== offset + bytes.length
    ) {
      throw new FormatError('other bytes were sent back than the manifest lists');
    }
    this.#repaired.set(key, offset + bytes.length);
  }

  /** All records were taken. @throws FormatError */
  finish(): void {
    for (const [key, total] of this.#totals) {
      if ((this.#at.get(key) ?? 0) !== total) {
        throw new FormatError(`the events have another length of stream ${key.split('/')[0]}`);
      }
    }
    for (const stream of this.#kinds.keys()) {
      if (stream !== CONTROL_STREAM && !this.#opened.has(stream)) {
        throw new FormatError(`the events do not open stream ${stream}`);
      }
    }
    if (this.#repairs !== this.#manifest.lost.length) {
      throw new FormatError('other bytes were sent back than the manifest lists');
    }
  }
}

function isStreamOpen(
  event: unknown,
): event is { readonly stream: number; readonly kind: unknown } {
  return (
    typeof event === 'object' &&
    event !== null &&
    'type' in event &&
    event.type === 'stream.open' &&
    'stream' in event &&
    typeof event.stream === 'number' &&
    'kind' in event
  );
}

function keyOf(stream: number, direction: Direction): string {
  return `${stream}/${direction}`;
}
