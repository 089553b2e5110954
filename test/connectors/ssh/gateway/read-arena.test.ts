import { expect, test } from 'vitest';
import { ReadArena } from '../../../../src/connectors/ssh/gateway/read-arena.ts';

/** Fills what the arena offers as the system would, with at most so many bytes. */
function read(arena: ReadArena, fill: number, most: number): { bytes: Buffer; offered: number } {
  const into = arena.buffer();
  const length = Math.min(most, into.length);
  into.fill(fill, 0, length);
  return { bytes: arena.taken(length), offered: into.length };
}

test('what was read is never written to again', () => {
  const arena = new ReadArena();
  const all = Array.from({ length: 200 }, (_, at) => ({
    at,
    ...read(arena, at, at % 3 === 0 ? 70_000 : at * 10 + 1),
  }));
  for (const { at, bytes } of all) {
    expect(bytes.length).toBeGreaterThan(0);
    expect(bytes.every((byte) => byte === at)).toBe(true);
  }
});

test('who sends much is read in large pieces, and who sends little costs little memory', () => {
  const arena = new ReadArena();
  expect(read(arena, 1, 20).bytes.buffer.byteLength).toBe(16 * 1024);
  expect(read(arena, 1, Number.POSITIVE_INFINITY).bytes.length).toBe(16 * 1024 - 20);
  const bulk = read(arena, 1, Number.POSITIVE_INFINITY);
  expect(bulk.bytes.length).toBe(256 * 1024);
  for (let at = 0; at < 30; at += 1) {
    // Room for a packet of SSH at least.
    expect(read(arena, 1, 40_000).offered).toBeGreaterThanOrEqual(40_000);
  }
  for (let at = 0; at < 400; at += 1) {
    read(arena, 1, 1000);
  }
  expect(read(arena, 1, 1000).bytes.buffer.byteLength).toBe(16 * 1024);
});
