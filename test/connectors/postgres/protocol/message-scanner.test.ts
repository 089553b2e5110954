import { describe, expect, test } from 'vitest';
import {
  encodeCommandComplete,
  encodeDataRow,
  encodeReadyForQuery,
} from '../../../../src/connectors/postgres/protocol/backend-messages.ts';
import {
  type Handling,
  MessageScanner,
  type ScannedItem,
} from '../../../../src/connectors/postgres/protocol/message-scanner.ts';
import { BACKEND } from '../../../../src/connectors/postgres/protocol/message-types.ts';
import { joinViews } from '../../../../src/join-views.ts';

const row = encodeDataRow({ values: [Buffer.from('x'.repeat(50)), null] });
const complete = encodeCommandComplete({ tag: 'SELECT 3' });
const ready = encodeReadyForQuery({ status: 'idle' });
const rowsPass = (type: number): Handling => (type === BACKEND.DataRow ? 'pass' : 'whole');

function scan(
  chunks: readonly Uint8Array[],
  decide: (type: number, bodyLength: number) => Handling = rowsPass,
): { items: ScannedItem[]; scanner: MessageScanner } {
  const items: ScannedItem[] = [];
  const scanner = new MessageScanner({ decide, maxWholeLength: 1000 });
  for (const chunk of chunks) {
    scanner.push(chunk, (item) => items.push(item));
  }
  return { items, scanner };
}

describe('MessageScanner', () => {
  test('gives neighbouring messages that pass as one view of the chunk', () => {
    const chunk = Buffer.concat([row, row, row, complete, row]);
    const { items } = scan([chunk]);
    expect(items.map((item) => item.kind)).toEqual(['pass', 'message', 'pass']);
    expect(items[0]?.bytes.length).toBe(row.length * 3);
    expect(items[0]?.bytes.buffer).toBe(chunk.buffer);
    expect(items[1]?.bytes.buffer).toBe(chunk.buffer);
  });

  test('gives the same bytes in the same order wherever a conversation is split', () => {
    const all = Buffer.concat([row, complete, ready, row, row, ready]);
    for (let one = 0; one <= all.length; one++) {
      const two = (one * 7) % (all.length + 1);
      const [first, second] = [Math.min(one, two), Math.max(one, two)];
      const { items, scanner } = scan([
        all.subarray(0, first),
        all.subarray(first, second),
        all.subarray(second),
      ]);
      expect(Buffer.concat(items.map((item) => item.bytes)).equals(all)).toBe(true);
      const types = items.flatMap((item) => (item.kind === 'message' ? [item.type] : []));
      expect(types).toEqual([
        BACKEND.CommandComplete,
        BACKEND.ReadyForQuery,
        BACKEND.ReadyForQuery,
      ]);
      expect(scanner.atBoundary).toBe(true);
    }
  });

  test('asks once per message, with the length of the body', () => {
    const asked: [number, number][] = [];
    const all = Buffer.concat([row, complete, ready]);
    scan(
      Array.from(all, (byte) => Buffer.of(byte)),
      (type, length) => {
        asked.push([type, length]);
        return 'whole';
      },
    );
    expect(asked).toEqual([
      [BACKEND.DataRow, row.length - 5],
      [BACKEND.CommandComplete, complete.length - 5],
      [BACKEND.ReadyForQuery, 1],
    ]);
  });

  test('asks about a message after the one before it was handled', () => {
    const order: string[] = [];
    const scanner = new MessageScanner({
      decide: (type) => {
        order.push(`decide ${String.fromCharCode(type)}`);
        return 'whole';
      },
      maxWholeLength: 1000,
    });
    scanner.push(Buffer.concat([complete, ready]), (item) =>
      order.push(item.kind === 'message' ? `handle ${String.fromCharCode(item.type)}` : 'pass'),
    );
    expect(order).toEqual(['decide C', 'handle C', 'decide Z', 'handle Z']);
  });

  test('can be left in the middle of a chunk and taken up again', () => {
    const scanner = new MessageScanner({ decide: () => 'whole', maxWholeLength: 1000 });
    scanner.feed(Buffer.concat([complete, ready]));
    expect(scanner.next()).toMatchObject({ type: BACKEND.CommandComplete });
    expect(scanner.atBoundary).toBe(false);
    expect(() => scanner.feed(ready)).toThrow(TypeError);
    expect(scanner.next()).toMatchObject({ type: BACKEND.ReadyForQuery });
    expect(scanner.next()).toBeUndefined();
    expect(scanner.atBoundary).toBe(true);
  });

  test('passes a message of 1 GB without keeping any of it', () => {
    const scanner = new MessageScanner({ decide: () => 'pass', maxWholeLength: 0 });
    const header = Buffer.from('D\0\0\0\0', 'latin1');
    header.writeUInt32BE(0x3fffffff, 1);
    const chunk = Buffer.alloc(16 * 1024 * 1024);
    let passed = 0;
    const count = (item: ScannedItem): void => {
      passed += item.bytes.length;
    };
    scanner.push(header, count);
    const before = process.memoryUsage().arrayBuffers;
    for (let left = 0x3fffffff - 4; left > 0; left -= chunk.length) {
      scanner.push(chunk.subarray(0, Math.min(left, chunk.length)), count);
    }
    expect(passed).toBe(0x3fffffff + 1);
    expect(scanner.atBoundary).toBe(true);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(chunk.length);
  });

  test('refuses a whole message above the limit when its header is there', () => {
    const header = Buffer.from('Z\0\0\x03\xed', 'latin1');
    expect(() => scan([header])).toThrow(expect.objectContaining({ code: 'HOOP_TOO_LARGE' }));
    expect(() => scan([header], () => 'pass')).not.toThrow();
  });

  test('does not allocate what a header only promises', () => {
    const before = process.memoryUsage().arrayBuffers;
    const scanners = Array.from({ length: 100 }, () => {
      const scanner = new MessageScanner({
        decide: () => 'whole',
        maxWholeLength: 0x3fffffff,
      });
      scanner.push(Buffer.from('Q\x3f\0\0\0few', 'latin1'), () => undefined);
      return scanner;
    });
    expect(scanners.every((scanner) => !scanner.atBoundary)).toBe(true);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
  });
});

describe('joinViews', () => {
  const bytes = Buffer.from('abcdef');

  test('makes one view of two that are neighbours', () => {
    expect(
      Buffer.from(joinViews(bytes.subarray(1, 3), bytes.subarray(3, 5)) ?? []).toString(),
    ).toBe('bcde');
  });

  test('leaves others alone', () => {
    expect(joinViews(bytes.subarray(0, 2), bytes.subarray(3))).toBeUndefined();
    expect(joinViews(bytes.subarray(0, 2), new Uint8Array(4))).toBeUndefined();
  });
});
