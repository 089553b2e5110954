/**
 * What a terminal showed, as lines of asciicast v2 (https://docs.asciinema.org/manual/asciicast/v2/):
 * a header, then `[seconds, code, text]`. Times count from the header's, so that a line that is lost
 * moves no other.
 */
import * as z from 'zod';

export interface CastHeader {
  readonly columns: number;
  readonly rows: number;
  /** Wall clock, ms: second 0 of the lines. */
  readonly startedMs: number;
}

/** `o`: written to the terminal. `r`: its new size, as `80x24`. `m`: a note of the recorder. */
export type CastCode = 'o' | 'r' | 'm';

export interface CastEvent {
  readonly type: 'event';
  /** Since the header's time. */
  readonly atMs: number;
  readonly code: CastCode;
  readonly text: string;
}

export type CastItem = ({ readonly type: 'header' } & CastHeader) | CastEvent;

/** Longer than any that the recorder writes (16 Ki characters of six bytes as JSON). */
export const MAX_CAST_LINE_BYTES = 128 * 1024;
const NEWLINE = 0x0a;
const MAX_SIDE = 10_000;

export function castHeader({ columns, rows, startedMs }: CastHeader): Buffer {
  const timestamp = startedMs / 1000;
  return line({ version: 2, width: columns, height: rows, timestamp });
}

export function castEvent(atMs: number, code: CastCode, text: string): Buffer {
  return line([Math.round(atMs) / 1000, code, text]);
}

export function castSize(columns: number, rows: number): string {
  return `${columns}x${rows}`;
}

/** @returns undefined: none that a terminal has */
export function parseCastSize(text: string): { columns: number; rows: number } | undefined {
  const [, columns, rows] = /^(\d{1,5})x(\d{1,5})$/.exec(text) ?? [];
  const size = { columns: Number(columns), rows: Number(rows) };
  return isSide(size.columns) && isSide(size.rows) ? size : undefined;
}

/** Reads what a client has recorded, who may have written anything: what is no line is left out. */
export class CastReader {
  #rest = Buffer.alloc(0);
  #isSkipping = false;

  push(bytes: Uint8Array): CastItem[] {
    const items: CastItem[] = [];
    let buffer = Buffer.concat([this.#rest, bytes]);
    for (let end = buffer.indexOf(NEWLINE); end >= 0; end = buffer.indexOf(NEWLINE)) {
      const isLine = !this.#isSkipping && end <= MAX_CAST_LINE_BYTES;
      const item = isLine ? parseLine(buffer.toString('utf8', 0, end)) : undefined;
      this.#isSkipping = false;
      if (item !== undefined) {
        items.push(item);
      }
      buffer = buffer.subarray(end + 1);
    }
    if (buffer.length > MAX_CAST_LINE_BYTES) {
      this.#isSkipping = true;
      buffer = Buffer.alloc(0);
    }
    this.#rest = Buffer.from(buffer);
    return items;
  }
}

const Header = z
  .object({ version: z.literal(2), width: z.number(), height: z.number(), timestamp: z.number() })
  .transform(({ width, height, timestamp }) => ({
    type: 'header' as const,
    columns: width,
    rows: height,
    startedMs: timestamp * 1000,
  }))
  .refine(({ columns, rows }) => isSide(columns) && isSide(rows));
const Event = z
  .tuple([z.number().nonnegative(), z.enum(['o', 'r', 'm']), z.string()])
  .transform(([seconds, code, text]) => ({
    type: 'event' as const,
    atMs: seconds * 1000,
    code,
    text,
  }));
const Item = z.union([Header, Event]);

function parseLine(text: string): CastItem | undefined {
  try {
    return Item.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function isSide(cells: number): boolean {
  return Number.isInteger(cells) && cells > 0 && cells <= MAX_SIDE;
}

function line(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value)}\n`);
}
