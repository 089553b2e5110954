import { describe, expect, test } from 'vitest';
import {
  PacketScanner,
  type SftpItem,
} from '../../../../../src/connectors/ssh/protocol/sftp/packet-scanner.ts';
import {
  MAX_PACKET_LENGTH,
  REPLY,
  REQUEST,
} from '../../../../../src/connectors/ssh/protocol/sftp/packet-types.ts';
import { PacketWriter } from '../../../../../src/connectors/ssh/protocol/sftp/packet-writer.ts';
import { encodeReply } from '../../../../../src/connectors/ssh/protocol/sftp/reply.ts';
import {
  encodeInit,
  encodeRequest,
} from '../../../../../src/connectors/ssh/protocol/sftp/request.ts';
import { ProtocolError } from '../../../../../src/errors.ts';
import { Random } from '../../../postgres/protocol/random.ts';

const HANDLE = new Uint8Array([0, 0, 0, 1]);

function write(id: number, offset: bigint, data: Uint8Array): Uint8Array {
  return new PacketWriter(REQUEST.write, id).string(HANDLE).u64(offset).string(data).finish();
}

const conversation = Buffer.concat([
  encodeInit(3),
  encodeRequest(1, { type: 'stat', path: Buffer.from('/etc/passwd') }),
  write(2, 5n, Buffer.from('hello')),
  write(3, 0x1_0000_0000n, new Uint8Array(0)),
  encodeRequest(4, { type: 'close', handle: HANDLE }),
  encodeReply(5, { type: 'data', data: Buffer.from('bytes of a file') }),
  encodeReply(6, { type: 'name', entries: [] }),
  encodeReply(7, { type: 'status', code: 0, message: '' }),
]);

const handling = (type: number) =>
  type === REQUEST.write || type === REPLY.data
    ? ('stream' as const)
    : type === REPLY.name
      ? ('pass' as const)
      : ('whole' as const);

function scan(chunks: readonly Uint8Array[], decide = handling) {
  const items: SftpItem[] = [];
  const scanner = new PacketScanner(decide);
  for (const chunk of chunks) {
    scanner.feed(chunk);
    for (let item = scanner.next(); item !== undefined; item = scanner.next()) {
      items.push(item);
    }
  }
  return { items, scanner };
}

/** Without the places where it was split. */
function story(items: readonly SftpItem[]): string[] {
  const told: string[] = [];
  let data = '';
  for (const item of items) {
    if (item.kind === 'packet') {
      told.push(`packet ${item.type} ${item.id} ${Buffer.from(item.body).toString('hex')}`);
    } else if (item.kind === 'head') {
      const handle = Buffer.from(item.handle).toString('hex');
      told.push(`head ${item.type} ${item.id} ${handle} ${item.offset} ${item.dataLength}`);
    } else if (item.kind === 'data') {
      data += Buffer.from(item.bytes).toString();
      if (item.last) {
        told.push(`data ${data}`);
        data = '';
      }
    }
  }
  return told;
}

const TOLD = [
  'packet 1 3 ',
  'packet 17 1 0000000b2f6574632f706173737764',
  'head 6 2 00000001 5 5',
  'data hello',
  'head 6 3 00000001 4294967296 0',
  'packet 4 4 0000000400000001',
  'head 103 5  0 15',
  'data bytes of a file',
  'packet 101 7 000000000000000000000000',
];

describe('PacketScanner', () => {
  test('gives packets, heads and data as views of the chunk', () => {
    const { items, scanner } = scan([conversation]);
    expect(story(items)).toEqual(TOLD);
    expect(scanner.atBoundary).toBe(true);
    for (const item of items) {
      expect(item.bytes.buffer).toBe(conversation.buffer);
    }
  });

  test('gives the same wherever the bytes are split', () => {
    for (let one = 0; one <= conversation.length; one++) {
      const two = (one * 7) % (conversation.length + 1);
      const [first, second] = [Math.min(one, two), Math.max(one, two)];
      const { items, scanner } = scan([
        conversation.subarray(0, first),
        conversation.subarray(first, second),
        conversation.subarray(second),
      ]);
      expect(story(items), `split at ${first} and ${second}`).toEqual(TOLD);
      expect(Buffer.concat(items.map((item) => item.bytes)).equals(conversation)).toBe(true);
      expect(scanner.atBoundary).toBe(true);
    }
  });

  test('gives the same byte by byte', () => {
    const { items } = scan([...conversation].map((byte) => Uint8Array.of(byte)));
    expect(story(items)).toEqual(TOLD);
  });

  test('asks once for each packet, wherever it is split', () => {
    const asked: number[] = [];
    scan(
      [...conversation].map((byte) => Uint8Array.of(byte)),
      (type) => {
        asked.push(type);
        return handling(type);
      },
    );
    expect(asked).toEqual([1, 17, 6, 6, 4, 103, 104, 101]);
  });

  test('what stands behind the data of a WRITE is left out, wherever it is split', () => {
    const sent = Buffer.from(write(2, 5n, Buffer.from('hello')));
    const padded = Buffer.concat([sent, Buffer.alloc(20, 'surplus')]);
    padded.writeUInt32BE(padded.length - 4);
    const stream = Buffer.concat([padded, write(3, 9n, Buffer.from('x'))]);
    for (let at = 0; at <= stream.length; at++) {
      const { items, scanner } = scan([stream.subarray(0, at), stream.subarray(at)]);
      const out = Buffer.concat(items.map((item) => item.bytes));
      expect(out.equals(Buffer.concat([sent, write(3, 9n, Buffer.from('x'))])), `at ${at}`).toBe(
        true,
      );
      expect(scanner.atBoundary).toBe(true);
    }
    expect(scan([padded.subarray(0, -1)]).scanner.atBoundary).toBe(false);
  });

  test.each([0, 4, MAX_PACKET_LENGTH + 1, 0xffffffff])('refuses a length of %d', (length) => {
    const header = Buffer.alloc(9);
    header.writeUInt32BE(length);
    expect(() => scan([header])).toThrow(`length ${length} is out of range`);
  });

  test('takes a packet of the greatest length, and room for it only as it arrives', () => {
    const header = Buffer.alloc(9);
    header.writeUInt32BE(MAX_PACKET_LENGTH);
    header[4] = REQUEST.stat;
    const body = Buffer.alloc(MAX_PACKET_LENGTH - 5, 1);
    const { items } = scan([header, body.subarray(0, 1000), body.subarray(1000)]);
    expect(items).toHaveLength(1);
    expect(items[0]?.bytes.length).toBe(MAX_PACKET_LENGTH + 4);
  });

  test.each([
    ['a handle that is too long', '00000100 06 00000001 00000101'],
    ['a handle beyond the packet', '00000010 06 00000001 00000100 000000000000000000'],
    ['no room for its fields', '00000007 06 00000001 0000'],
    ['more data than the packet', '00000016 06 00000001 00000001 31 0000000000000000 00000001'],
    ['DATA without a length', '00000007 67 00000001 0000'],
    ['DATA with another length', '0000000b 67 00000001 00000001 0000'],
  ])('refuses %s', (_name, hex) => {
    const chunk = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    expect(() => scan([Buffer.concat([chunk, Buffer.alloc(300)])])).toThrow(ProtocolError);
  });

  test('random bytes, and packets that were tampered with, are scanned or refused', () => {
    const random = new Random();
    for (let round = 0; round < 1000; round++) {
      const tampered = Buffer.from(conversation);
      for (let change = 0; change <= random.below(3); change++) {
        tampered[random.below(tampered.length)] = random.below(256);
      }
      const cut = random.below(tampered.length);
      try {
        const { items } = scan([tampered.subarray(0, cut), tampered.subarray(cut)]);
        const again = scan(items.map((item) => item.bytes));
        expect(story(again.items)).toEqual(story(items));
      } catch (error) {
        expect(error, `seed ${random.seed}, round ${round}`).toBeInstanceOf(ProtocolError);
      }
    }
  });
});
