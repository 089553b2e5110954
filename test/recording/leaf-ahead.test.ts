import { createSecretKey, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { randomOf } from '../../conformance/fuzz/random.ts';
import { ByteBudget } from '../../src/byte-budget.ts';
import {
  CHUNK_BYTES,
  type ChunkPlace,
  CUT_STEP_BYTES,
  chunksOfCut,
  leafHash,
} from '../../src/recording/formats/chunk.ts';
import type { StreamOffsets } from '../../src/recording/formats/types.ts';
import { LeafAhead } from '../../src/recording/write/leaf-ahead.ts';

const KEY = createSecretKey(Buffer.alloc(32, 1));
const SEED = 7;

/** A stream of bytes down, cut where a test says, with what was hashed ahead. */
class Bench {
  readonly ahead: LeafAhead;
  readonly #bytes: Buffer[] = [];
  #covered: StreamOffsets = { stream: 1, up: 0, down: 0 };
  #epoch = 0;

  constructor(budget?: ByteBudget) {
    this.ahead = new LeafAhead(KEY, budget);
  }

  add(length: number): void {
    const bytes = randomBytes(length);
    this.#bytes.push(bytes);
    // In two parts, as they come from a socket.
    const third = Math.floor(length / 3);
    this.ahead.add(1, 1, [bytes.subarray(0, third), bytes.subarray(third)]);
  }

  /** How many of the chunks up to here were hashed ahead; each must be right. */
  cut(down: number, late: () => void = () => undefined): { known: number; chunks: number } {
    const to = { stream: 1, up: 0, down };
    const places = chunksOfCut(this.#epoch, new Map([[1, this.#covered]]), [to]);
    this.ahead.cutAt([to]);
    late();
    const all = Buffer.concat(this.#bytes);
    const right = (place: ChunkPlace): Uint8Array =>
      leafHash(KEY, place, [all.subarray(place.offset, place.offset + place.length)]);
    const known = places.filter((place) => {
      const leaf = this.ahead.take(place);
      expect(leaf === undefined || Buffer.compare(leaf, right(place)) === 0).toBe(true);
      return leaf !== undefined;
    });
    this.ahead.forget([to]);
    this.#covered = to;
    this.#epoch += 1;
    return { known: known.length, chunks: places.length };
  }
}

describe('leaves hashed ahead', () => {
  test('are known for whole chunks, and for the one that everything that has come ends in', () => {
    const bench = new Bench();
    bench.add(3 * CHUNK_BYTES + 10);
    expect(bench.cut(3 * CHUNK_BYTES + 10)).toEqual({ known: 4, chunks: 4 });
    // The next begins in the middle of a chunk, and that is known as well.
    bench.add(2 * CHUNK_BYTES);
    expect(bench.cut(5 * CHUNK_BYTES + 10)).toEqual({ known: 3, chunks: 3 });
  });

  test('are not given out for the chunks that a cut parts, and known again behind them', () => {
    const bench = new Bench();
    bench.add(6 * CHUNK_BYTES + 9);
    expect(bench.cut(2 * CHUNK_BYTES + 5)).toEqual({ known: 2, chunks: 3 });
    bench.add(2 * CHUNK_BYTES);
    // The open one of before goes on, whatever cut it belongs to now. The last bytes are few, and
    // so are kept: they can be parted.
    expect(bench.cut(8 * CHUNK_BYTES + 7)).toEqual({ known: 6, chunks: 7 });
    bench.add(CHUNK_BYTES);
    expect(bench.cut(9 * CHUNK_BYTES + 9)).toEqual({ known: 2, chunks: 2 });
  });

  test('are those of one cut: for another they are hashed from the file', () => {
    const ahead = new LeafAhead(KEY);
    ahead.add(1, 0, [Buffer.alloc(CHUNK_BYTES)]);
    const place = { epoch: 3, stream: 1, direction: 0, offset: 0, length: CHUNK_BYTES } as const;
    expect(ahead.take(place)).toEqual(leafHash(KEY, place, [Buffer.alloc(CHUNK_BYTES)]));
    expect(ahead.take({ ...place, epoch: 4 })).toBeUndefined();
    expect(ahead.take(place)).toEqual(leafHash(KEY, place, [Buffer.alloc(CHUNK_BYTES)]));
  });

  test('of short messages are all known, wherever cuts part them while more comes', () => {
    const bench = new Bench();
    const random = randomOf(SEED);
    let recorded = 0;
    const addSome = (): void => {
      for (let message = 0; message < 2000; message += 1) {
        const length = 1 + random.below(300);
        bench.add(length);
        recorded += length;
      }
    };
    for (let round = 0; round < 6; round += 1) {
      addSome();
      // As far as the client has come: less than what is here, by some messages.
      const { known, chunks } = bench.cut(recorded - 1 - random.below(1000), addSome);
      // A chunk that has ended meanwhile may be one that the cut parts.
      expect(known).toBeGreaterThanOrEqual(chunks - 1);
    }
  });

  test('keep no more than they may, and give all of it back', () => {
    const whole = new ByteBudget(3 * CHUNK_BYTES);
    const budget = new ByteBudget(2 * CHUNK_BYTES, whole);
    const ahead = new LeafAhead(KEY, budget);
    const place = { epoch: 0, direction: 1, offset: 0, length: 2000 } as const;
    for (let stream = 1; stream <= 200; stream += 1) {
      for (let message = 0; message < 20; message += 1) {
        ahead.add(stream, 1, [Buffer.alloc(100, stream)]);
      }
      expect(budget.left).toBeGreaterThanOrEqual(0);
    }
    expect(budget.left).toBeLessThan(2048);
    expect(whole.left).toBe(CHUNK_BYTES + budget.left);
    const covered = Array.from({ length: 200 }, (_, at) => ({ stream: at + 1, up: 0, down: 2000 }));
    ahead.cutAt(covered);
    // Those that found no room are known all the same, as long as nothing parts them.
    for (const { stream } of covered) {
      const bytes = [Buffer.alloc(2000, stream)];
      expect(ahead.take({ ...place, stream })).toEqual(leafHash(KEY, { ...place, stream }, bytes));
    }
    expect(budget.left).toBe(2 * CHUNK_BYTES);
    expect(whole.left).toBe(3 * CHUNK_BYTES);
    ahead.add(1, 1, [Buffer.alloc(5000)]);
    ahead[Symbol.dispose]();
    expect(whole.left).toBe(3 * CHUNK_BYTES);
  });

  test('are right for cuts at the steps of bulk, although more has come already', () => {
    const bench = new Bench();
    bench.add(CUT_STEP_BYTES + 5 * CHUNK_BYTES + 77);
    const chunks = CUT_STEP_BYTES / CHUNK_BYTES;
    expect(bench.cut(CUT_STEP_BYTES, () => bench.add(CHUNK_BYTES))).toEqual({
      known: chunks,
      chunks,
    });
    bench.add(2 * CUT_STEP_BYTES);
    expect(bench.cut(2 * CUT_STEP_BYTES)).toEqual({ known: chunks, chunks });
    expect(bench.cut(3 * CUT_STEP_BYTES)).toEqual({ known: chunks, chunks });
  });

  test('are right whatever is cut where', () => {
    const bench = new Bench();
    const random = randomOf(SEED);
    let recorded = 0;
    let covered = 0;
    let known = 0;
    for (let round = 0; round < 60; round += 1) {
      const length = random.below(4 * CHUNK_BYTES) + 1;
      bench.add(length);
      recorded += length;
      covered += 1 + random.below(recorded - covered);
      known += bench.cut(covered).known;
    }
    expect(known).toBeGreaterThan(0);
  });

  test('of a stream that has ended nothing is kept when it is covered', () => {
    const ahead = new LeafAhead(KEY);
    const place = { epoch: 0, stream: 5, direction: 0, offset: 0, length: CHUNK_BYTES } as const;
    ahead.add(5, 0, [Buffer.alloc(CHUNK_BYTES + 1)]);
    ahead.close(5);
    expect(ahead.take(place)).toBeDefined();
    expect(ahead.take({ ...place, offset: CHUNK_BYTES, length: 1 })).toBeDefined();
    ahead.forget([{ stream: 5, up: CHUNK_BYTES + 1, down: 0 }]);
    expect(ahead.take(place)).toBeUndefined();
    // A later one of this number would begin anew, which no session does.
    ahead.add(5, 0, [Buffer.alloc(CHUNK_BYTES)]);
    expect(ahead.take(place)).toBeDefined();
  });
});
