import { describe, expect, test } from 'vitest';
import { CHUNK_BYTES, chunksOfCut, countChunks } from '../../src/recording/formats/chunk.ts';
import { seededRandom } from './session-pair.ts';

const none = new Map();

describe('chunksOfCut', () => {
  test('splits at every 65 536 of the stream itself, not of the cut', () => {
    const from = new Map([[1, { stream: 1, up: 65_000, down: 0 }]]);
    const places = chunksOfCut(4, from, [{ stream: 1, up: 140_000, down: 0 }]);
    expect(places.map(({ offset, length }) => [offset, length])).toEqual([
      [65_000, 536],
      [65_536, 65_536],
      [131_072, 8_928],
    ]);
    expect(places.every(({ epoch }) => epoch === 4)).toBe(true);
  });

  test('orders by stream, then up before down, then offset', () => {
    const places = chunksOfCut(0, none, [
      { stream: 0, up: 0, down: 5 },
      { stream: 7, up: 1, down: 1 },
    ]);
    expect(places.map(({ stream, direction }) => [stream, direction])).toEqual([
      [0, 1],
      [7, 0],
      [7, 1],
    ]);
  });

  for (const [what, streams] of [
    ['a stream that does not move', [{ stream: 1, up: 0, down: 0 }]],
    ['a stream that goes back', [{ stream: 2, up: 5, down: 10 }]],
    [
      'streams out of order',
      [
        { stream: 2, up: 20, down: 10 },
        { stream: 1, up: 1, down: 0 },
      ],
    ],
    [
      'a stream twice',
      [
        { stream: 1, up: 1, down: 0 },
        { stream: 1, up: 2, down: 0 },
      ],
    ],
    ['a fraction', [{ stream: 1, up: 1.5, down: 0 }]],
    ['NaN', [{ stream: 1, up: Number.NaN, down: 0 }]],
    ['a negative offset', [{ stream: 1, up: -1, down: 0 }]],
  ] as const) {
    test(`refuses ${what}`, () => {
      const from = new Map([[2, { stream: 2, up: 10, down: 10 }]]);
      expect(() => chunksOfCut(0, from, streams)).toThrow(/^cut 0/);
    });
  }

  test('countChunks agrees with the list', () => {
    const random = seededRandom(1);
    for (let round = 0; round < 500; round += 1) {
      const from = Math.floor(random() * 4 * CHUNK_BYTES);
      const to = from + Math.floor(random() * 4 * CHUNK_BYTES) + 1;
      const before = new Map([[1, { stream: 1, up: from, down: 0 }]]);
      const places = chunksOfCut(0, before, [{ stream: 1, up: to, down: 0 }]);
      expect(countChunks(from, to)).toBe(places.length);
    }
    expect(countChunks(65_536, 65_536)).toBe(0);
  });
});
