/** What a TLS connection delivers record by record, and what becomes of it. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { RecordArena } from '../../src/carrier/record-arena.ts';
import { RecordJoiner } from '../../src/carrier/record-joiner.ts';
import { createCertificateAuthority, issueServerCertificate } from '../../src/certificates.ts';

const RECORD = 16 * 1024;
const TOTAL = 8 * 1024 * 1024;

/** Bytes that say where they belong. */
function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) {
    bytes.writeUInt32BE(at, at);
  }
  return bytes;
}

/** Sends `writes` over a real TLS connection and closes it. */
async function overTls(
  writes: readonly Buffer[],
  options: object,
  use: (socket: TLSSocket) => void,
): Promise<void> {
  const authority = createCertificateAuthority();
  const issued = issueServerCertificate(authority, { names: [], ips: ['127.0.0.1'] });
  const server = createServer({ cert: issued.certificate, key: issued.privateKey }, (socket) => {
    for (const bytes of writes) {
      socket.write(bytes);
    }
    socket.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = connect({ host: '127.0.0.1', port, ca: authority.certificate, ...options });
  const closed = once(socket, 'close');
  use(socket);
  socket.resume();
  await closed;
  server.close();
  await once(server, 'close');
}

/** The bytes in writes of a size that fits no record and of one that fills some exactly. */
function inWrites(all: Buffer): Buffer[] {
  const writes: Buffer[] = [];
  for (let at = 0; at < all.length; ) {
    const length = [65_540, 3 * RECORD, 100, 1][writes.length % 4] ?? 1;
    writes.push(all.subarray(at, at + length));
    at += length;
  }
  return writes;
}

describe('an arena', () => {
  test('gives every byte once, in order, in memory that stays as it was', async () => {
    const sent = pattern(TOTAL);
    const pieces: Buffer[] = [];
    const arena = new RecordArena((bytes) => pieces.push(bytes));
    const onread = { buffer: arena.buffer, callback: arena.filled };
    await overTls(inWrites(sent), { onread }, (socket) => socket.on('end', () => arena.deliver()));
    // Looked at only now: a piece that was written over would show.
    expect(Buffer.concat(pieces).equals(sent)).toBe(true);
    // Fewer pieces than records.
    expect(pieces.length).toBeLessThan(TOTAL / RECORD);
  });

  test('gives a small record at once and a full one at the end of the turn', async () => {
    const pieces: number[] = [];
    const arena = new RecordArena((bytes) => pieces.push(bytes.length));
    expect(arena.buffer().length).toBeGreaterThanOrEqual(RECORD);
    arena.filled(100);
    expect(pieces).toEqual([100]);
    for (let count = 0; count < 5; count += 1) {
      arena.filled(Math.min(RECORD, arena.buffer().length));
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(pieces.reduce((sum, length) => sum + length)).toBe(100 + 5 * RECORD - 100);
  });
});

describe('a joiner', () => {
  test('gives every byte once, in order', async () => {
    const sent = pattern(TOTAL);
    const pieces: Buffer[] = [];
    const joiner = new RecordJoiner((bytes) => pieces.push(bytes));
    await overTls(inWrites(sent), {}, (socket) =>
      socket.on('end', () => joiner.deliver()).on('data', (record) => joiner.add(record)),
    );
    expect(Buffer.concat(pieces).equals(sent)).toBe(true);
    expect(pieces.length).toBeLessThan(TOTAL / RECORD);
  });

  test('passes a small record through without a copy, and never collects more than 256 KiB', () => {
    const pieces: Buffer[] = [];
    const joiner = new RecordJoiner((bytes) => pieces.push(bytes));
    const small = Buffer.from('small');
    joiner.add(small);
    expect(pieces[0]).toBe(small);
    for (let count = 0; count < 36; count += 1) {
      joiner.add(Buffer.alloc(RECORD));
    }
    expect(pieces.map(({ length }) => length)).toEqual([5, 16 * RECORD, 16 * RECORD]);
    joiner.add(small);
    expect(pieces.at(-1)?.length).toBe(4 * RECORD + small.length);
    joiner.deliver();
    expect(pieces).toHaveLength(4);
  });
});
