import { expect, test } from 'vitest';
import { ReadArena } from '../../../src/gateway/targets/read-arena.ts';

/** As the system fills what Node asked for after the read before, with at most so many bytes. */
class Socket {
  readonly #arena = new ReadArena();
  #next = this.#arena.buffer();

  get offered(): number {
    return this.#next.length;
  }

  read(fill: number, most: number): Buffer {
    const length = Math.min(most, this.#next.length);
    this.#next.fill(fill, 0, length);
    const bytes = this.#arena.taken(length);
    this.#next = this.#arena.buffer();
    return bytes;
  }
}

test('what was read is never written to again, by this target or another', () => {
  const sockets = Array.from({ length: 5 }, () => new Socket());
  const all = Array.from({ length: 250 }, (_, at) => {
    const socket = sockets[at % 5];
    return { at, bytes: socket?.read(at, at % 3 === 0 ? 70_000 : at * 10 + 1) };
  });
  for (const { at, bytes } of all) {
    expect(bytes?.length).toBeGreaterThan(0);
    expect(bytes?.every((byte) => byte === at)).toBe(true);
  }
});

test('who sends much is read in large pieces, and who sends little holds no memory', () => {
  const socket = new Socket();
  // Two that send little are offered the same memory, which is not what they get.
  const other = new Socket();
  const piece = socket.read(1, 1000);
  expect(other.read(2, 1000).equals(piece)).toBe(false);
  expect(piece.every((byte) => byte === 1)).toBe(true);
  expect(socket.read(1, Number.POSITIVE_INFINITY).length).toBe(64 * 1024);
  expect(socket.read(1, Number.POSITIVE_INFINITY).length).toBe(256 * 1024);
  for (let at = 0; at < 30; at += 1) {
    // Room for a packet of SSH at least.
    expect(socket.offered).toBeGreaterThanOrEqual(40 * 1024);
    expect(socket.read(1, 40_000).length).toBe(40_000);
  }
  expect(socket.read(1, 1000).length).toBe(1000);
  expect(socket.offered).toBe(64 * 1024);
});
