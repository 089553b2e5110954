/**
 * Where the events say that data lies, held against the manifest: the pieces of each stream and
 * direction must follow each other without gap or overlap up to its total, and no other stream may
 * have any. The content of a piece is in the leaves, which tile the same totals: so each byte that is
 * shown at some time is one byte that was signed, and each signed byte is shown once.
 */
import { FormatError } from '../../format-error.ts';
import type { DataPlace } from '../formats/frame-digest.ts';
import type { Manifest } from '../formats/manifest.ts';
import { CONTROL_STREAM, type Direction } from '../formats/types.ts';

export class VerifiedPlaces {
  readonly #totals = new Map<string, number>();
  readonly #kinds = new Map<number, string>();
  readonly #at = new Map<string, number>();
  readonly #opened = new Map<number, unknown>();
  #hasWithheld = false;

  constructor({ streams }: Manifest) {
    for (const { stream, kind, up, down } of streams) {
      this.#kinds.set(stream, kind);
      this.#totals.set(keyOf(stream, 0), up);
      this.#totals.set(keyOf(stream, 1), down);
    }
  }

  /** From here on what is missing may be in what was withheld. */
  withheld(): void {
    this.#hasWithheld = true;
  }

  /** @throws FormatError */
  data({ stream, direction, offset, length }: DataPlace): void {
    const key = keyOf(stream, direction);
    const at = this.#at.get(key) ?? 0;
    const total = this.#totals.get(key);
    const isNext = this.#hasWithheld ? offset >= at : offset === at;
    if (!isNext || length === 0) {
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

  /** All records were taken. @throws FormatError */
  finish(): void {
    for (const [key, total] of this.#totals) {
      if ((this.#at.get(key) ?? 0) !== total) {
        throw new FormatError(`the events have another length of stream ${key.split('/')[0]}`);
      }
    }
    for (const [stream, kind] of this.#kinds) {
      if ((stream === CONTROL_STREAM) !== (kind === 'evidence')) {
        throw new FormatError(`stream ${stream} cannot be of the kind that the manifest says`);
      }
      if (stream !== CONTROL_STREAM && !this.#opened.has(stream)) {
        throw new FormatError(`the events do not open stream ${stream}`);
      }
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
