/** Answers as git-upload-pack does, up to the pack. https://git-scm.com/docs/gitprotocol-pack */
import { createHash, randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { deflateSync } from 'node:zlib';

const MIB = 1024 * 1024;
const COMMIT_TYPE = 1;
const BLOB_TYPE = 3;
const OFS_DELTA = 6;
const PACK = 1;
const MESSAGES = 2;
const COMMIT = Buffer.from(
  'tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor M <m@x> 1767600000 +0000\ncommitter M <m@x> 1767600000 +0000\n\nx\n',
);
const OBJECT = createHash('sha1').update(`commit ${COMMIT.length}\0`).update(COMMIT).digest('hex');

/** What is sent in the place of a pack. */
const ATTACKS: Readonly<Record<string, () => void>> = {
  'a delta that stands for a gibibyte': () => {
    const base = entry(BLOB_TYPE, Buffer.alloc(MIB, 'a'));
    // One instruction copies the whole base once more: 0xc0 says that one byte of the size follows.
    const delta = Buffer.concat([
      size(MIB),
      size(1024 * MIB),
      Buffer.alloc(2048, '\xc0\x10', 'latin1'),
    ]);
    sendPack([entry(COMMIT_TYPE, COMMIT), base, entry(OFS_DELTA, delta, distance(base.length))]);
  },
  'a header that claims four billion objects': () => sendPack([], 0xffffffff),
  'a pack without end': () => {
    send(PACK, packHeader(1_000_000));
    for (;;) send(PACK, entry(BLOB_TYPE, randomBytes(60_000)));
  },
  'messages without end': () => {
    for (;;) send(MESSAGES, Buffer.alloc(60_000, 'remote '));
  },
};

line(`${OBJECT} refs/heads/main\0side-band-64k ofs-delta\n`);
write(Buffer.from('0000'));
process.stdin.on('data', (chunk: Buffer) => {
  if (!chunk.includes('0009done')) return;
  line('NAK\n');
  ATTACKS[process.argv[2] ?? '']?.();
});

function sendPack(entries: readonly Buffer[], count = entries.length): void {
  const pack = Buffer.concat([packHeader(count), ...entries]);
  send(PACK, Buffer.concat([pack, createHash('sha1').update(pack).digest()]));
  write(Buffer.from('0000'));
}

function packHeader(count: number): Buffer {
  const header = Buffer.from('PACK\0\0\0\x02\0\0\0\0', 'latin1');
  header.writeUInt32BE(count, 8);
  return header;
}

/** Type and size, what a delta is based on, and the compressed content. */
function entry(type: number, content: Uint8Array, base: Uint8Array = Buffer.alloc(0)): Buffer {
  const first = (type << 4) | (content.length & 15);
  const rest = Math.floor(content.length / 16);
  const head = rest === 0 ? Buffer.of(first) : Buffer.concat([Buffer.of(first | 128), size(rest)]);
  return Buffer.concat([head, base, deflateSync(content)]);
}

/** Seven bits a byte, the lowest first. */
function size(value: number): Buffer {
  const bytes: number[] = [];
  for (let left = value; ; left = Math.floor(left / 128)) {
    if (left < 128) return Buffer.from([...bytes, left]);
    bytes.push((left % 128) | 128);
  }
}

/** Seven bits a byte, the highest first, each longer form beginning where the shorter one ends. */
function distance(value: number): Buffer {
  const bytes = [value % 128];
  for (let left = Math.floor(value / 128); left > 0; left = Math.floor(left / 128)) {
    left -= 1;
    bytes.unshift((left % 128) | 128);
  }
  return Buffer.from(bytes);
}

function send(channel: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; at += 60_000) {
    const part = bytes.subarray(at, at + 60_000);
    write(Buffer.concat([Buffer.from(hex(part.length + 5)), Buffer.of(channel), part]));
  }
}

function line(text: string): void {
  write(Buffer.from(hex(text.length + 4) + text));
}

function hex(length: number): string {
  return length.toString(16).padStart(4, '0');
}

function write(bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
}
