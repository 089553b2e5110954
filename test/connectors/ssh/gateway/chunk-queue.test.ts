import { expect, test } from 'vitest';
import { ChunkQueue } from '../../../../src/connectors/ssh/gateway/chunk-queue.ts';
import { Random } from '../../postgres/protocol/random.ts';

test('a megabyte of single bytes waits in a few blocks, with the place of the first', () => {
  const queue = new ChunkQueue();
  for (let at = 0; at < 1024 * 1024; at++) {
    queue.push(Uint8Array.of(at & 0xff), at);
  }
  let blocks = 0;
  let next = 0;
  for (let chunk = queue.shift(); chunk !== undefined; chunk = queue.shift()) {
    expect(chunk.at).toBe(next);
    expect(chunk.bytes[0]).toBe(next & 0xff);
    next += chunk.bytes.length;
    blocks += 1;
  }
  expect(next).toBe(1024 * 1024);
  expect(blocks).toBeLessThan(70);
});

test('bytes come out as they went in, whatever is taken in between', () => {
  const random = new Random();
  const queue = new ChunkQueue();
  const [into, out]: [Buffer[], Buffer[]] = [[], []];
  for (let round = 0; round < 300; round++) {
    const bytes = random.bytes(random.below(40) === 0 ? 40_000 : random.below(300));
    into.push(bytes);
    queue.push(bytes, round);
    const chunk = random.below(4) === 0 ? queue.shift() : undefined;
    out.push(...(chunk === undefined ? [] : [Buffer.from(chunk.bytes)]));
  }
  for (let chunk = queue.shift(); chunk !== undefined; chunk = queue.shift()) {
    out.push(Buffer.from(chunk.bytes));
  }
  expect(Buffer.concat(out).equals(Buffer.concat(into)), `seed ${random.seed}`).toBe(true);
});
