import { describe, expect, test } from 'vitest';
import { MalformedPacket } from '../../../../../src/connectors/ssh/protocol/sftp/packet-reader.ts';
import {
  MAX_PACKET_LENGTH,
  REQUEST,
} from '../../../../../src/connectors/ssh/protocol/sftp/packet-types.ts';
import {
  decodeExtensions,
  decodeReply,
  encodeReply,
  encodeVersion,
  type SftpReply,
} from '../../../../../src/connectors/ssh/protocol/sftp/reply.ts';
import {
  decodeRequest,
  encodeInit,
  encodeRequest,
  type SftpRequest,
} from '../../../../../src/connectors/ssh/protocol/sftp/request.ts';
import { ProtocolError } from '../../../../../src/errors.ts';
import { Random } from '../../../postgres/protocol/random.ts';

const bytes = (text: string) => new Uint8Array(Buffer.from(text));
const unhex = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'));
const HANDLE = unhex('00000001');

/** Fields as the draft lists them: length, type, id, then one group per field. */
const REQUESTS: readonly { readonly request: SftpRequest; readonly hex: string }[] = [
  {
    request: {
      type: 'open',
      path: bytes('/a'),
      flags: 0x1a,
      attributes: { permissions: 0o644 },
    },
    hex: '00000017 03 00000007 00000002 2f61 0000001a 00000004 000001a4',
  },
  { request: { type: 'close', handle: HANDLE }, hex: '0000000d 04 00000007 00000004 00000001' },
  {
    request: { type: 'read', handle: HANDLE, offset: 0x1_0000_0000n, length: 32768 },
    hex: '00000019 05 00000007 00000004 00000001 0000000100000000 00008000',
  },
  { request: { type: 'lstat', path: bytes('/a') }, hex: '0000000b 07 00000007 00000002 2f61' },
  { request: { type: 'fstat', handle: HANDLE }, hex: '0000000d 08 00000007 00000004 00000001' },
  {
    request: {
      type: 'setstat',
      path: bytes('/a'),
      attributes: { size: 5n, owner: { uid: 1, gid: 2 }, times: { atime: 3, mtime: 4 } },
    },
    hex: `00000027 09 00000007 00000002 2f61 0000000b 0000000000000005 00000001 00000002
      00000003 00000004`,
  },
  {
    request: {
      type: 'fsetstat',
      handle: HANDLE,
      attributes: { extended: [{ type: bytes('t'), data: bytes('dd') }] },
    },
    hex: `00000020 0a 00000007 00000004 00000001 80000000 00000001 00000001 74 00000002 6464`,
  },
  { request: { type: 'opendir', path: bytes('/') }, hex: '0000000a 0b 00000007 00000001 2f' },
  { request: { type: 'readdir', handle: HANDLE }, hex: '0000000d 0c 00000007 00000004 00000001' },
  { request: { type: 'remove', path: bytes('/a') }, hex: '0000000b 0d 00000007 00000002 2f61' },
  {
    request: { type: 'mkdir', path: bytes('/a'), attributes: {} },
    hex: '0000000f 0e 00000007 00000002 2f61 00000000',
  },
  { request: { type: 'rmdir', path: bytes('/a') }, hex: '0000000b 0f 00000007 00000002 2f61' },
  { request: { type: 'realpath', path: bytes('.') }, hex: '0000000a 10 00000007 00000001 2e' },
  { request: { type: 'stat', path: bytes('/a') }, hex: '0000000b 11 00000007 00000002 2f61' },
  {
    request: { type: 'rename', path: bytes('/a'), to: bytes('/b') },
    hex: '00000011 12 00000007 00000002 2f61 00000002 2f62',
  },
  { request: { type: 'readlink', path: bytes('/a') }, hex: '0000000b 13 00000007 00000002 2f61' },
  // As `ln -s text link` of sftp(1) sends it: the text first.
  {
    request: { type: 'symlink', path: bytes('link'), to: bytes('text') },
    hex: '00000015 14 00000007 00000004 74657874 00000004 6c696e6b',
  },
  {
    request: { type: 'extended', name: 'fsync@openssh.com', data: unhex('00000004 00000001') },
    hex: `00000022 c8 00000007 00000011 6673796e63406f70656e7373682e636f6d 00000004 00000001`,
  },
];

const REPLIES: readonly { readonly reply: SftpReply; readonly hex: string }[] = [
  {
    reply: { type: 'status', code: 3, message: 'no' },
    hex: '00000013 65 00000007 00000003 00000002 6e6f 00000000',
  },
  { reply: { type: 'handle', handle: HANDLE }, hex: '0000000d 66 00000007 00000004 00000001' },
  { reply: { type: 'data', data: bytes('abc') }, hex: '0000000c 67 00000007 00000003 616263' },
  {
    reply: {
      type: 'name',
      entries: [{ name: bytes('a'), longName: bytes('-a'), attributes: { permissions: 1 } }],
    },
    hex: '0000001c 68 00000007 00000001 00000001 61 00000002 2d61 00000004 00000001',
  },
  {
    reply: { type: 'attrs', attributes: { size: 9n } },
    hex: '00000011 69 00000007 00000001 0000000000000009',
  },
];

describe('sftp requests', () => {
  test.each(REQUESTS)('$request.type has the bytes of the draft', ({ request, hex }) => {
    const packet = unhex(hex);
    expect(Buffer.from(encodeRequest(7, request)).toString('hex')).toBe(
      Buffer.from(packet).toString('hex'),
    );
    expect(decodeRequest(packet[4] ?? 0, packet.subarray(9))).toEqual(request);
  });

  test.each(REQUESTS)('$request.type is refused when it is cut off or has more', ({ hex }) => {
    const packet = unhex(hex);
    const type = packet[4] ?? 0;
    if (type !== REQUEST.extended) {
      for (let end = 9; end < packet.length; end++) {
        expect(() => decodeRequest(type, packet.subarray(9, end))).toThrow(MalformedPacket);
      }
      const more = Buffer.concat([packet.subarray(9), Buffer.from([0])]);
      expect(() => decodeRequest(type, more)).toThrow('bytes too many');
    }
  });

  test('INIT has the version instead of an id', () => {
    expect(Buffer.from(encodeInit(3)).toString('hex')).toBe('000000050100000003');
  });

  test('a path with a NUL is refused', () => {
    const packet = encodeRequest(1, { type: 'stat', path: bytes('/a\0/etc/shadow') });
    expect(() => decodeRequest(REQUEST.stat, packet.subarray(9))).toThrow('NUL');
  });

  test('a string whose length goes beyond the packet is refused', () => {
    expect(() => decodeRequest(REQUEST.stat, unhex('ffffffff 2f'))).toThrow(MalformedPacket);
  });

  test('a count of attributes that cannot be there is refused before anything is made of it', () => {
    const body = unhex('00000001 2f 80000000 ffffffff');
    expect(() => decodeRequest(REQUEST.setstat, body)).toThrow('too short for its count');
  });

  test('attributes with flags of later versions are refused', () => {
    expect(() => decodeRequest(REQUEST.setstat, unhex('00000001 2f 00000010'))).toThrow('0x10');
  });

  test('a handle above 256 bytes is refused', () => {
    const packet = encodeRequest(1, { type: 'close', handle: new Uint8Array(257) });
    expect(() => decodeRequest(REQUEST.close, packet.subarray(9))).toThrow('too long');
  });

  test('a type that version 3 does not have is none', () => {
    expect(decodeRequest(21, new Uint8Array(0))).toBeUndefined();
  });

  test('a packet that would be too long is not made', () => {
    const path = new Uint8Array(MAX_PACKET_LENGTH);
    expect(() => encodeRequest(1, { type: 'stat', path })).toThrow(RangeError);
  });
});

describe('sftp replies', () => {
  test.each(REPLIES)('$reply.type has the bytes of the draft', ({ reply, hex }) => {
    const packet = unhex(hex);
    expect(Buffer.from(encodeReply(7, reply)).toString('hex')).toBe(
      Buffer.from(packet).toString('hex'),
    );
    expect(decodeReply(packet[4] ?? 0, packet.subarray(9))).toEqual(reply);
  });

  test('a status without text is one', () => {
    expect(decodeReply(101, unhex('00000001'))).toEqual({ type: 'status', code: 1, message: '' });
  });

  test('VERSION keeps the order of its extensions', () => {
    const extensions = [
      { name: 'posix-rename@openssh.com', data: bytes('1') },
      { name: 'statvfs@openssh.com', data: bytes('2') },
    ];
    const packet = encodeVersion(3, extensions);
    expect(Buffer.from(packet.subarray(4, 9)).toString('hex')).toBe('0200000003');
    expect(decodeExtensions(packet.subarray(9))).toEqual(extensions);
    expect(() => decodeExtensions(packet.subarray(9, packet.length - 1))).toThrow(MalformedPacket);
  });

  test('a count of names that cannot be there is refused', () => {
    expect(() => decodeReply(104, unhex('ffffffff'))).toThrow('too short for its count');
  });
});

test('random bytes are decoded or refused with a typed error', () => {
  const random = new Random();
  for (let round = 0; round < 10_000; round++) {
    const body = Uint8Array.from({ length: random.below(40) }, () =>
      random.below(3) === 0 ? random.below(256) : random.below(4),
    );
    for (const decode of [decodeRequest, decodeReply]) {
      try {
        decode(random.below(2) === 0 ? random.below(22) : 100 + random.below(6), body);
      } catch (error) {
        expect(error, `seed ${random.seed}, round ${round}`).toBeInstanceOf(ProtocolError);
      }
    }
    try {
      decodeExtensions(body);
    } catch (error) {
      expect(error, `seed ${random.seed}, round ${round}`).toBeInstanceOf(ProtocolError);
    }
  }
});
