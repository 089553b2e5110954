import { createSecretKey, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { randomOf } from '../../conformance/fuzz/random.ts';
import { CHUNK_BYTES, chunksOfCut, leafHash } from '../../src/recording/formats/chunk.ts';
import type { Direction, StreamOffsets } from '../../src/recording/formats/types.ts';
import { RunningLeaves } from '../../src/recording/write/running-leaves.ts';
import { SpareBlocks, UncutBytes } from '../../src/recording/write/uncut-bytes.ts';

const KEY = createSecretKey(Buffer.alloc(32, 1));

/** Two streams in both directions, and what they have brought in full. */
class Bench {
  readonly leaves = new RunningLeaves(KEY);
  readonly #sent = new Map<string, Buffer>();
  readonly covered = new Map<number, StreamOffsets>();
  epoch = 0;

  add(stream: number, direction: Direction, length: number): void {
    const bytes = randomBytes(length);
    const parts = [bytes.subarray(0, length >> 2), bytes.subarray(length >> 2)];
    this.leaves.add(stream, direction, parts);
    const key = `${stream}/${direction}`;
    const before = this.#sent.get(key) ?? Buffer.alloc(0);
    this.#sent.set(key, Buffer.concat([before, bytes]));
    // Whoever brought them has other uses for their memory.
    bytes.fill(0);
  }

  sent(stream: number, direction: Direction): Buffer {
    return this.#sent.get(`${stream}/${direction}`) ?? Buffer.alloc(0);
  }

  right(place: Parameters<typeof leafHash>[1]): Uint8Array {
    const { stream, direction, offset, length } = place;
    return leafHash(KEY, place, [this.sent(stream, direction).subarray(offset, offset + length)]);
  }

  /** All that is journalled must be true, and reach to the last byte. */
  checkPoints(): void {
    const points = this.leaves.points(this.epoch);
    for (const { place, leaf } of points) {
      expect(place.epoch).toBe(this.epoch);
      expect(Buffer.compare(leaf, this.right(place))).toBe(0);
    }
    for (const { place } of points) {
      const ends = points.filter(({ place: { stream, direction } }) => {
        return stream === place.stream && direction === place.direction;
      });
      const end = Math.max(...ends.map(({ place: { offset, length } }) => offset + length));
      expect(end).toBe(this.sent(place.stream, place.direction).length);
    }
  }

  cut(streams: readonly StreamOffsets[]): void {
    const places = chunksOfCut(this.epoch, this.covered, streams);
    const leaves = this.leaves.leaves(places);
    const right = Buffer.concat(places.map((place) => this.right(place)));
    expect(Buffer.compare(leaves, right)).toBe(0);
    this.leaves.cutAt(streams);
    this.epoch += 1;
    this.checkPoints();
    this.leaves.forget(streams);
    for (const offsets of streams) {
      this.covered.set(offsets.stream, offsets);
    }
  }
}

describe('leaves that run on', () => {
  test('are right whatever comes, whenever it is asked, and wherever is cut', () => {
    const bench = new Bench();
    const random = randomOf(11);
    for (let round = 0; round < 150; round += 1) {
      for (let turn = random.below(4); turn >= 0; turn -= 1) {
        const large = random.below(3) === 0 ? 3 * CHUNK_BYTES : 700;
        bench.add(1 + random.below(2), random.below(2) === 0 ? 0 : 1, 1 + random.below(large));
        if (random.below(2) === 0) {
          bench.checkPoints();
        }
      }
      const streams = [1, 2].flatMap((stream) => {
        const { up, down } = bench.covered.get(stream) ?? { up: 0, down: 0 };
        const to = {
          stream,
          up: up + random.below(bench.sent(stream, 0).length - up + 1),
          // A whole direction at a time as often as not.
          down: random.below(2) === 0 ? bench.sent(stream, 1).length : down,
        };
        return to.up > up || to.down > down ? [to] : [];
      });
      if (streams.length > 0) {
        bench.cut(streams);
      }
    }
    expect(bench.epoch).toBeGreaterThan(100);
  });

  test('are not given again while nothing has changed', () => {
    const bench = new Bench();
    bench.add(1, 1, 2 * CHUNK_BYTES + 5);
    expect(bench.leaves.hasMoved).toBe(true);
    expect(bench.leaves.points(0)).toHaveLength(3);
    expect(bench.leaves.hasMoved).toBe(false);
    expect(bench.leaves.points(0)).toEqual([]);
    bench.add(1, 1, 1);
    expect(bench.leaves.points(0)).toMatchObject([{ place: { length: 6 } }]);
  });

  test('cannot be had for what is signed, or never came', () => {
    const bench = new Bench();
    bench.add(1, 1, CHUNK_BYTES * 5);
    bench.cut([{ stream: 1, up: 0, down: CHUNK_BYTES * 5 }]);
    bench.add(1, 1, 10);
    const place = { epoch: 1, stream: 1, direction: 1, offset: 0, length: CHUNK_BYTES } as const;
    expect(() => bench.leaves.leaves([place])).toThrow(RangeError);
    expect(() => bench.leaves.bytes(1, 1, CHUNK_BYTES * 5, CHUNK_BYTES * 5 + 11)).toThrow(
      RangeError,
    );
  });
});

test('bytes that no cut covers are kept as they came, whatever is forgotten of them', () => {
  const random = randomOf(5);
  const uncut = new UncutBytes(new SpareBlocks());
  let all = Buffer.alloc(0);
  let from = 0;
  for (let round = 0; round < 400; round += 1) {
    const bytes = randomBytes(random.below(round % 7 === 0 ? 400_000 : 900));
    uncut.add(bytes);
    all = Buffer.concat([all, bytes]);
    const at = from + random.below(all.length - from + 1);
    const to = at + random.below(all.length - at + 1);
    expect(Buffer.concat(uncut.read(at, to)).equals(all.subarray(at, to))).toBe(true);
    if (random.below(5) === 0) {
      from = at;
      uncut.forget(from);
    }
  }
  uncut.forget(all.length);
  expect(uncut.isEmpty).toBe(true);
});
