import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  ReorderRoom,
  SequentialHash,
} from '../../../../src/connectors/ssh/gateway/sftp/sequential-hash.ts';
import type { SshVerdict } from '../../../../src/connectors/ssh/policy/types.ts';
import { CHANNEL_WINDOW_BYTES } from '../../../../src/connectors/ssh/protocol/frame.ts';
import {
  MAX_PACKET_LENGTH,
  OPEN_FLAG,
  REPLY,
  STATUS,
} from '../../../../src/connectors/ssh/protocol/sftp/packet-types.ts';
import { decodeExtensions } from '../../../../src/connectors/ssh/protocol/sftp/reply.ts';
import { encodeInit, encodeRequest } from '../../../../src/connectors/ssh/protocol/sftp/request.ts';
import { RawSftpClient, writePacket } from './raw-sftp-client.ts';
import { ALLOW, refuse, SftpHarness } from './sftp-harness.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const bytes = (text: string) => new Uint8Array(Buffer.from(text));
const FIRST_HANDLE = new Uint8Array(4);
const WRITE_NEW = OPEN_FLAG.write | OPEN_FLAG.create | OPEN_FLAG.truncate;

/** Until what a client caused has arrived here. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('the first packets', () => {
  test('whatever version a client asks for, 3 is spoken, with the extensions that are known', async () => {
    await using harness = await new SftpHarness().listen();
    using client = RawSftpClient.silent(harness.socketPath);
    client.send(encodeInit(6));
    const version = await client.next();
    expect([version.type, version.id]).toEqual([REPLY.version, 3]);
    const names = decodeExtensions(version.body).map(({ name }) => name);
    expect(names).toContain('posix-rename@openssh.com');
    expect(names).toContain('limits@openssh.com');
    expect(names).not.toContain('hardlink@openssh.com');
    expect(names).not.toContain('lsetstat@openssh.com');
  });

  test.each([
    ['something else than INIT', encodeRequest(1, { type: 'stat', path: bytes('/') })],
    ['version 2', encodeInit(2)],
    ['HTTP', bytes('GET / HTTP/1.1\r\n\r\n')],
  ])('%s ends the channel', async (_name, packet) => {
    await using harness = await new SftpHarness().listen();
    using client = RawSftpClient.silent(harness.socketPath);
    client.send(packet);
    await client.ended();
    expect(harness.failures.map(({ code }) => code)).toEqual(['HOOP_PROTOCOL']);
  });

  test.each([
    ['text', 'Welcome to this server, please behave'],
    ['version 6', '\\000\\000\\000\\005\\002\\000\\000\\000\\006'],
    ['another reply', '\\000\\000\\000\\005\\145\\000\\000\\000\\003'],
  ])('a target that answers with %s is not understood', async (_name, answer) => {
    await using harness = await new SftpHarness({
      server: ['/bin/sh', '-c', `printf '${answer}'; cat >/dev/null`],
    }).listen();
    using client = RawSftpClient.silent(harness.socketPath);
    client.send(encodeInit(3));
    await client.ended();
    expect(harness.failures.map(({ code }) => code)).toEqual(['HOOP_PROTOCOL']);
  });
});

describe('a hostile client', () => {
  test('an id that is used twice at the same time ends the channel', async () => {
    await using harness = await new SftpHarness().listen();
    using client = await RawSftpClient.open(harness.socketPath);
    const packet = encodeRequest(7, { type: 'realpath', path: bytes('.') });
    client.send(packet, packet);
    await client.ended();
    expect(harness.failures[0]?.message).toContain('used twice');
  });

  test('ids of the gateway may be used by a client, too', async () => {
    await using harness = await new SftpHarness().listen();
    using client = await RawSftpClient.open(harness.socketPath);
    const ids = Array.from({ length: 200 }, (_, index) => 0x80000000 + index);
    client.send(...ids.map((id) => encodeRequest(id, { type: 'stat', path: bytes(harness.root) })));
    const answered: number[] = [];
    for (const _ of ids) {
      const { type, id } = await client.next();
      expect(type).toBe(REPLY.attrs);
      answered.push(id);
    }
    expect(answered.sort((a, b) => a - b)).toEqual(ids);
    expect(harness.failures).toEqual([]);
  });

  test('handles that it was not given are none, and the channel goes on', async () => {
    await using harness = await new SftpHarness().listen();
    using client = await RawSftpClient.open(harness.socketPath);
    const handle = bytes('guess');
    for (const request of [
      { type: 'read', handle, offset: 0n, length: 10 },
      { type: 'close', handle },
      { type: 'fstat', handle },
      { type: 'readdir', handle },
      { type: 'fsetstat', handle, attributes: {} },
    ] as const) {
      expect(await client.ask(request)).toMatchObject({ type: 'status', code: STATUS.failure });
    }
    client.send(writePacket(1, handle, 0, randomBytes(100_000)));
    expect(await client.nextReply()).toMatchObject({ id: 1, code: STATUS.failure });
    expect(await client.ask({ type: 'realpath', path: bytes('.') })).toMatchObject({
      type: 'name',
    });
  });

  test('a handle that is used before its OPEN is answered is one as soon as it is decided', async () => {
    await using harness = await new SftpHarness({
      decide: ({ path }) => (path.endsWith('secret') ? refuse('denied') : ALLOW),
    }).listen();
    writeFileSync(join(harness.root, 'file'), 'text');
    writeFileSync(join(harness.root, 'secret'), 'secret');
    using client = await RawSftpClient.open(harness.socketPath);
    const read = (name: string, id: number) => [
      encodeRequest(id, {
        type: 'open',
        path: bytes(join(harness.root, name)),
        flags: OPEN_FLAG.read,
        attributes: {},
      }),
      encodeRequest(id + 1, { type: 'read', handle: FIRST_HANDLE, offset: 0n, length: 100 }),
      encodeRequest(id + 2, { type: 'close', handle: FIRST_HANDLE }),
    ];
    client.send(...read('secret', 1), ...read('file', 11));
    const replies = [];
    for (let count = 0; count < 6; count++) {
      replies.push(await client.nextReply());
    }
    expect(replies).toMatchObject([
      { id: 1, code: STATUS.permissionDenied },
      { id: 2, code: STATUS.failure },
      { id: 3, code: STATUS.failure },
      { id: 11, type: 'handle' },
      { id: 12, type: 'data' },
      { id: 13, code: STATUS.ok },
    ]);
    expect(harness.records).toMatchObject([{ read: { bytes: 4, sha256: sha256(bytes('text')) } }]);
  });

  test('a file is used only as it was opened', async () => {
    await using harness = await new SftpHarness().listen();
    const path = join(harness.root, 'file');
    writeFileSync(path, 'text');
    using client = await RawSftpClient.open(harness.socketPath);
    const reads = await client.handleOf(path, OPEN_FLAG.read);
    client.send(writePacket(1, reads, 0, bytes('other')));
    expect(await client.nextReply()).toMatchObject({ code: STATUS.permissionDenied });
    const writes = await client.handleOf(path, OPEN_FLAG.write);
    expect(await client.ask({ type: 'read', handle: writes, offset: 0n, length: 4 })).toMatchObject(
      { code: STATUS.permissionDenied },
    );
    expect(readFileSync(path, 'utf8')).toBe('text');
  });

  test('a path with a NUL, a packet that ends early, a type that is none: refused, and it goes on', async () => {
    await using harness = await new SftpHarness().listen();
    using client = await RawSftpClient.open(harness.socketPath);
    expect(
      await client.ask({ type: 'stat', path: bytes(`${harness.root}\0/etc/shadow`) }),
    ).toMatchObject({ code: STATUS.badMessage });
    client.send(Buffer.from('00000009110000000100000009', 'hex'));
    expect(await client.nextReply()).toMatchObject({ id: 1, code: STATUS.badMessage });
    client.send(Buffer.from('00000005ff00000002', 'hex'));
    expect(await client.nextReply()).toMatchObject({ id: 2, code: STATUS.opUnsupported });
    const data = encodeRequest(3, { type: 'rename', path: bytes('/a'), to: bytes('/b') }).subarray(
      9,
    );
    expect(
      await client.ask({ type: 'extended', name: 'hardlink@openssh.com', data }),
    ).toMatchObject({ code: STATUS.opUnsupported });
    expect(
      await client.ask({ type: 'extended', name: 'posix-rename@openssh.com', data: bytes('xx') }),
    ).toMatchObject({ code: STATUS.badMessage });
    expect(
      await client.ask({ type: 'extended', name: '__proto__', data: bytes('xx') }),
    ).toMatchObject({ code: STATUS.opUnsupported });
    expect(await client.ask({ type: 'realpath', path: bytes('.') })).toMatchObject({
      type: 'name',
    });
    expect(harness.acts).toEqual([]);
  });

  test('a packet of 256 KiB and one byte ends the channel', async () => {
    await using harness = await new SftpHarness().listen();
    using client = await RawSftpClient.open(harness.socketPath);
    const header = Buffer.alloc(9);
    header.writeUInt32BE(MAX_PACKET_LENGTH + 1);
    client.send(header);
    await client.ended();
    expect(harness.failures[0]?.message).toContain('262145 is out of range');
  });

  test('a path of more components than anybody has is refused before the target is asked', async () => {
    await using harness = await new SftpHarness().listen();
    using client = await RawSftpClient.open(harness.socketPath);
    expect(await client.ask({ type: 'stat', path: bytes('/a'.repeat(50_000)) })).toMatchObject({
      code: STATUS.failure,
    });
  });

  test('links that lead to each other are not followed for ever', async () => {
    await using harness = await new SftpHarness().listen();
    symlinkSync('b', join(harness.root, 'a'));
    symlinkSync('a', join(harness.root, 'b'));
    using client = await RawSftpClient.open(harness.socketPath);
    expect(await client.ask({ type: 'stat', path: bytes(join(harness.root, 'a')) })).toMatchObject({
      type: 'status',
      message: 'too many links',
    });
  });

  test('every request is understood byte by byte', async () => {
    await using harness = await new SftpHarness().listen();
    const path = bytes(join(harness.root, 'file'));
    using client = RawSftpClient.silent(harness.socketPath);
    client.socket.setNoDelay(true);
    const conversation = Buffer.concat([
      encodeInit(3),
      encodeRequest(1, { type: 'open', path, flags: WRITE_NEW, attributes: {} }),
      writePacket(2, FIRST_HANDLE, 0, bytes('some text')),
      encodeRequest(3, { type: 'close', handle: FIRST_HANDLE }),
      encodeRequest(4, { type: 'stat', path }),
    ]);
    for (const byte of conversation) {
      client.socket.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const types: number[] = [];
    for (let count = 0; count < 5; count++) {
      types.push((await client.next()).type);
    }
    expect(types).toEqual([REPLY.version, REPLY.handle, REPLY.status, REPLY.status, REPLY.attrs]);
    expect(readFileSync(join(harness.root, 'file'), 'utf8')).toBe('some text');
    expect(harness.records[0]?.written?.sha256).toBe(sha256(bytes('some text')));
  });

  test('refusals come between the packets of a file, never inside of one', async () => {
    await using harness = await new SftpHarness({
      decide: ({ operation }) => (operation === 'stat' ? refuse('denied') : ALLOW),
    }).listen();
    const content = randomBytes(5_000_000);
    writeFileSync(join(harness.root, 'file'), content);
    using client = await RawSftpClient.open(harness.socketPath);
    const handle = await client.handleOf(join(harness.root, 'file'), OPEN_FLAG.read);
    const requests: Uint8Array[] = [];
    for (let at = 0; at < content.length; at += 200_000) {
      requests.push(
        encodeRequest(1000 + at, { type: 'read', handle, offset: BigInt(at), length: 200_000 }),
        encodeRequest(1001 + at, { type: 'stat', path: bytes('/etc') }),
      );
    }
    client.send(...requests);
    const pieces: Buffer[] = [];
    let refusals = 0;
    for (const _ of requests) {
      const reply = await client.nextReply();
      if (reply.type === 'data') {
        pieces.push(Buffer.from(reply.data));
      } else {
        refusals += 1;
      }
    }
    expect(Buffer.concat(pieces).equals(content)).toBe(true);
    expect(refusals).toBe(25);
    expect(harness.stderr.split('\n').length).toBeLessThan(30);
  });
});

describe('flow', () => {
  test('a client that asks for everything at once and reads nothing is held, and gets all of it later', async () => {
    await using harness = await new SftpHarness().listen();
    const content = randomBytes(30_000_000);
    writeFileSync(join(harness.root, 'file'), content);
    using client = await RawSftpClient.open(harness.socketPath);
    const handle = await client.handleOf(join(harness.root, 'file'), OPEN_FLAG.read);
    client.socket.pause();
    const length = 1000;
    const count = content.length / length;
    client.send(
      ...Array.from({ length: count }, (_, index) =>
        encodeRequest(1000 + index, {
          type: 'read',
          handle,
          offset: BigInt(index * length),
          length,
        }),
      ),
      encodeRequest(1, { type: 'close', handle }),
    );
    const [channel] = harness.channels;
    await until(() => channel?.server.stdout.isPaused() === true);
    client.socket.resume();
    const hash = createHash('sha256');
    for (let index = 0; index < count; index++) {
      const reply = await client.nextReply();
      if (reply.type === 'data') {
        hash.update(reply.data);
      }
    }
    await client.next();
    expect(hash.digest('hex')).toBe(sha256(content));
    expect(harness.records[0]?.read).toEqual({
      bytes: content.length,
      from: 0,
      sha256: sha256(content),
      whole: true,
    });
    // One chunk more than the credit may have been read before the socket was paused.
    expect(channel?.heldMost).toBeLessThan(CHANNEL_WINDOW_BYTES + 256 * 1024);
  });

  test('what stands behind a request that waits for an approval waits, too', async () => {
    const approval = Promise.withResolvers<SshVerdict>();
    await using harness = await new SftpHarness({
      decide: ({ operation }) => (operation === 'remove' ? approval.promise : ALLOW),
    }).listen();
    const path = join(harness.root, 'file');
    writeFileSync(path, 'text');
    using client = await RawSftpClient.open(harness.socketPath);
    client.send(
      encodeRequest(1, { type: 'remove', path: bytes(path) }),
      encodeRequest(2, { type: 'stat', path: bytes(path) }),
    );
    await until(() => harness.acts.length === 1);
    expect(existsSync(path)).toBe(true);
    approval.resolve(ALLOW);
    expect(await client.nextReply()).toMatchObject({ id: 1, code: STATUS.ok });
    expect(await client.nextReply()).toMatchObject({ id: 2, code: STATUS.noSuchFile });
  });
});

test('a client that leaves while people decide gets nothing, and nothing is done', async () => {
  const approval = Promise.withResolvers<SshVerdict>();
  await using harness = await new SftpHarness({ decide: () => approval.promise }).listen();
  const path = join(harness.root, 'file');
  writeFileSync(path, 'text');
  using client = await RawSftpClient.open(harness.socketPath);
  client.send(encodeRequest(1, { type: 'remove', path: bytes(path) }));
  await until(() => harness.acts.length === 1);
  const [channel] = harness.channels;
  channel?.inspector.ended();
  approval.resolve(refuse('denied'));
  await approval.promise;
  channel?.server.stdin.end();
  await client.ended();
  expect(client.answers).toEqual([]);
  expect(harness.stderr).toBe('');
  expect(existsSync(path)).toBe(true);
  expect(harness.failures).toEqual([]);
});

describe('what is hashed', () => {
  async function written(pieces: readonly (readonly [number, string])[], flags = WRITE_NEW) {
    await using harness = await new SftpHarness().listen();
    using client = await RawSftpClient.open(harness.socketPath);
    const handle = await client.handleOf(join(harness.root, 'file'), flags);
    client.send(
      ...pieces.map(([offset, text], index) => writePacket(index, handle, offset, bytes(text))),
      encodeRequest(99, { type: 'close', handle }),
    );
    for (let count = 0; count <= pieces.length; count++) {
      await client.next();
    }
    return harness.records[0]?.written;
  }

  test('writes that change places', async () => {
    expect(
      await written([
        [0, 'a'],
        [2, 'c'],
        [3, 'd'],
        [1, 'b'],
      ]),
    ).toEqual({
      bytes: 4,
      from: 0,
      sha256: sha256(bytes('abcd')),
      whole: true,
    });
  });

  test('bytes behind the data of a write, as rclone of Debian 12 sends them, are no part of the file', async () => {
    await using harness = await new SftpHarness().listen();
    using client = await RawSftpClient.open(harness.socketPath);
    const path = join(harness.root, 'padded');
    const handle = await client.handleOf(path, WRITE_NEW);
    const packet = Buffer.concat([
      writePacket(1, handle, 0, bytes('all of it')),
      randomBytes(30_000),
    ]);
    packet.writeUInt32BE(packet.length - 4);
    client.send(packet);
    expect(await client.nextReply()).toMatchObject({ id: 1, code: STATUS.ok });
    expect(await client.ask({ type: 'close', handle })).toMatchObject({ code: STATUS.ok });
    expect(readFileSync(path, 'utf8')).toBe('all of it');
    expect(harness.records[0]?.written).toMatchObject({
      bytes: 9,
      sha256: sha256(bytes('all of it')),
    });
  });

  test('pieces of a byte each that come before their turn are kept up to some thousands, and copied', () => {
    const room = new ReorderRoom();
    const hash = new SequentialHash(0n, room);
    const memory = Buffer.from('abc');
    hash.add(2n, memory.subarray(2));
    memory.fill('-');
    hash.add(0n, bytes('ab'));
    expect(hash.finish()).toEqual({ sha256: sha256(bytes('abc')) });
    const greedy = new SequentialHash(0n, room);
    const all = room.bytesLeft;
    let kept = 0;
    do {
      greedy.add(BigInt(2 * kept + 2), bytes('x'));
      kept += 1;
    } while (room.bytesLeft < all);
    expect(kept).toBeLessThan(10_000);
    expect(greedy.finish()).toEqual({ notHashed: 'not sequential' });
  });

  test('writes with a gap have no digest', async () => {
    expect(
      await written([
        [0, 'a'],
        [2, 'c'],
      ]),
    ).toEqual({
      bytes: 2,
      from: 0,
      notHashed: 'not sequential',
    });
  });

  test('writes over what was written have no digest', async () => {
    expect(
      await written([
        [0, 'abc'],
        [1, 'x'],
      ]),
    ).toEqual({
      bytes: 4,
      from: 0,
      notHashed: 'parts of it were moved more than once',
    });
  });

  test('writes that begin behind the beginning are no whole file', async () => {
    expect(await written([[5, 'abc']])).toEqual({
      bytes: 3,
      from: 5,
      sha256: sha256(bytes('abc')),
    });
  });

  test('appended bytes go to the end whatever their offset', async () => {
    const append = OPEN_FLAG.write | OPEN_FLAG.create | OPEN_FLAG.append;
    expect(
      await written(
        [
          [0, 'ab'],
          [0, 'cd'],
        ],
        append,
      ),
    ).toEqual({
      bytes: 4,
      sha256: sha256(bytes('abcd')),
    });
  });

  test('bytes that the target did not take are not counted', async () => {
    await using harness = await new SftpHarness().listen();
    using client = await RawSftpClient.open(harness.socketPath);
    const handle = await client.handleOf('/dev/full', OPEN_FLAG.write);
    client.send(writePacket(1, handle, 0, bytes('text')));
    expect(await client.nextReply()).toMatchObject({ code: STATUS.failure });
    expect(await client.ask({ type: 'close', handle })).toMatchObject({ code: STATUS.ok });
    expect(harness.records[0]?.written).toEqual({ bytes: 0, from: 0, notHashed: 'a write failed' });
  });

  test('a channel that breaks leaves a record of what was moved until then', async () => {
    await using harness = await new SftpHarness().listen();
    using client = await RawSftpClient.open(harness.socketPath);
    const path = join(harness.root, 'file');
    const handle = await client.handleOf(path, WRITE_NEW);
    client.send(writePacket(1, handle, 0, bytes('text')));
    await client.next();
    client.socket.end();
    await until(() => harness.records.length > 0);
    expect(harness.records).toMatchObject([
      {
        operation: 'write',
        path,
        written: { bytes: 4, sha256: sha256(bytes('text')) },
        note: 'the channel ended before the file was closed',
      },
    ]);
    expect(harness.records[0]?.status).toBeUndefined();
  });
});

describe('a path that changes between the question and the opening', () => {
  /** `data/file` is what is decided; then `data` becomes a link to `secret`. */
  function swapIn(root: string): void {
    renameSync(join(root, 'data'), join(root, 'aside'));
    symlinkSync('secret', join(root, 'data'));
  }

  function swapBack(root: string): void {
    rmSync(join(root, 'data'));
    renameSync(join(root, 'aside'), join(root, 'data'));
  }

  async function prepared(swapsBack: boolean): Promise<SftpHarness> {
    let isSwapped = false;
    const harness: SftpHarness = new SftpHarness({
      decide: ({ operation }) => {
        if (operation === 'read' || operation === 'write' || operation === 'list') {
          swapIn(harness.root);
          isSwapped = true;
        }
        return ALLOW;
      },
      beforeReply: () => {
        if (isSwapped && swapsBack) {
          swapBack(harness.root);
          isSwapped = false;
        }
      },
    });
    for (const folder of ['data', 'secret']) {
      mkdirSync(join(harness.root, folder));
    }
    writeFileSync(join(harness.root, 'data/file'), 'harmless');
    writeFileSync(join(harness.root, 'secret/file'), 'a secret that nobody should see');
    return await harness.listen();
  }

  test.each([false, true])('is noticed for a file (swapped back: %s)', async (swapsBack) => {
    await using harness = await prepared(swapsBack);
    using client = await RawSftpClient.open(harness.socketPath);
    const path = join(harness.root, 'data/file');
    expect(
      await client.ask({ type: 'open', path: bytes(path), flags: OPEN_FLAG.read, attributes: {} }),
    ).toMatchObject({ type: 'status', code: STATUS.permissionDenied });
    expect(harness.records).toMatchObject([
      { operation: 'read', path, note: 'the path was changed while it was opened' },
    ]);
    // The target has closed it as well.
    expect(
      await client.ask({ type: 'read', handle: FIRST_HANDLE, offset: 0n, length: 10 }),
    ).toMatchObject({ code: STATUS.failure });
  });

  test.each([false, true])('empties no other file (swapped back: %s)', async (swapsBack) => {
    await using harness = await prepared(swapsBack);
    using client = await RawSftpClient.open(harness.socketPath);
    const path = bytes(join(harness.root, 'data/file'));
    expect(
      await client.ask({ type: 'open', path, flags: WRITE_NEW, attributes: {} }),
    ).toMatchObject({ type: 'status', code: STATUS.permissionDenied });
    expect(readFileSync(join(harness.root, 'secret/file'), 'utf8')).toContain('a secret');
  });

  test('is noticed for a folder', async () => {
    await using harness = await prepared(false);
    using client = await RawSftpClient.open(harness.socketPath);
    const path = bytes(join(harness.root, 'data'));
    expect(await client.ask({ type: 'opendir', path })).toMatchObject({
      type: 'status',
      code: STATUS.permissionDenied,
    });
  });
});

describe('a target that is not OpenSSH', () => {
  test('makes no links, because it may take the two paths the other way round', async () => {
    await using harness = await new SftpHarness({ targetSoftware: 'mod_sftp/1.0' }).listen();
    using client = await RawSftpClient.open(harness.socketPath);
    expect(
      await client.ask({ type: 'symlink', path: bytes('/tmp/x'), to: bytes('/etc') }),
    ).toMatchObject({ code: STATUS.opUnsupported });
  });
});

test('copy-data moves nothing between handles that are not open for it, or that nobody gave', async () => {
  await using harness = await new SftpHarness().listen();
  using client = await RawSftpClient.open(harness.socketPath);
  const path = (name: string): string => join(harness.root, name);
  writeFileSync(path('a'), 'secret');
  writeFileSync(path('b'), '');
  const reads = await client.handleOf(path('a'), OPEN_FLAG.read);
  const writes = await client.handleOf(path('b'), OPEN_FLAG.write);
  const copy = async (from: Uint8Array, to: Uint8Array): Promise<unknown> => {
    const zero = Buffer.alloc(8);
    const length = (handle: Uint8Array): Buffer => {
      const head = Buffer.alloc(4);
      head.writeUInt32BE(handle.length);
      return Buffer.concat([head, handle]);
    };
    const data = Buffer.concat([length(from), zero, zero, length(to), zero]);
    return await client.ask({ type: 'extended', name: 'copy-data', data });
  };
  expect(await copy(writes, writes)).toMatchObject({ code: STATUS.permissionDenied });
  expect(await copy(reads, reads)).toMatchObject({ code: STATUS.permissionDenied });
  expect(await copy(reads, Buffer.from('none'))).toMatchObject({ code: STATUS.failure });
  expect(readFileSync(path('b'), 'utf8')).toBe('');
  expect(await copy(reads, writes)).toMatchObject({ code: STATUS.ok });
  expect(readFileSync(path('b'), 'utf8')).toBe('secret');
});
