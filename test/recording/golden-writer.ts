/**
 * Writes the golden bytes of recording format 2 as docs/design/0002-recording.md says them, with
 * nothing of what they test but canonical JSON and envelopes: `node test/recording/golden-writer.ts`.
 * Run it when the format changes, and only then: who changes one of these files changes what
 * recordings mean.
 */
import { createCipheriv, createHash, hkdfSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { encodeEnvelope, signEnvelope } from '../../src/recording/formats/dsse.ts';
import { encodeManifest, MANIFEST_TYPE } from '../../src/recording/formats/manifest.ts';
import { CLIENT, KEY, MANIFEST, SESSION } from './golden-inputs.ts';

const DIRECTORY = join(import.meta.dirname, '../fixtures/recording');
/** Bytes, and what they are. */
type Field = readonly [Buffer, string];

const number = (value: number, bytes: number): Buffer => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(BigInt(value));
  return buffer.subarray(8 - bytes);
};
const fill = (byte: number, length: number): Buffer => Buffer.alloc(length, byte);
const bytesOf = (fields: readonly Field[]): Buffer => Buffer.concat(fields.map(([b]) => b));
const sha256 = (...parts: readonly (Buffer | string)[]): Buffer =>
  createHash('sha256')
    .update(Buffer.concat(parts.map((part) => Buffer.from(part))))
    .digest();

function write(name: string, fields: readonly Field[]): void {
  const lines = fields.flatMap(([bytes, note]) => {
    const hex = bytes.toString('hex').match(/.{1,64}/g) ?? [''];
    return hex.map((line, at) => (at === 0 ? `${line}  # ${note}` : line));
  });
  writeFileSync(join(DIRECTORY, name), `${lines.join('\n')}\n`);
}

function text(name: string, note: string, content: string): void {
  const hex =
    Buffer.from(content)
      .toString('hex')
      .match(/.{1,64}/g) ?? [];
  writeFileSync(join(DIRECTORY, name), `# ${note}\n${hex.join('\n')}\n`);
}

const session = Buffer.from(SESSION.replaceAll('-', ''), 'hex');

const beforeChecksum: readonly Field[] = [
  [Buffer.from('HOOPREC2'), '"HOOPREC2"'],
  [number(2, 2), 'version 2'],
  [number(1, 2), 'flags: encrypted'],
  [number(100, 4), 'header length 100'],
  [session, 'session id'],
  [number(7, 4), 'segment 7'],
  [number(1, 4), 'term 1'],
  [fill(0x12, 16), 'salt'],
  [fill(0x11, 32), 'previous head'],
  [number(1_764_000_000_000, 8), 't0_ms'],
];
const segmentHeader: readonly Field[] = [
  ...beforeChecksum,
  [number(crc32(bytesOf(beforeChecksum)), 4), 'crc32'],
];
write('segment-header.hex', segmentHeader);

const segmentKey = Buffer.from(
  hkdfSync('sha256', KEY, bytesOf(segmentHeader), Buffer.from('seg\0\0\0\x07'), 32),
);
const eventKey = Buffer.from(hkdfSync('sha256', KEY, '', 'hoop/event-key/v2', 32));
const SEQ = 4_294_967_298;
const C = 'hoop/frame/v2\0';

const place = Buffer.concat([number(3, 4), number(1, 1), number(65_536, 8)]);
const placeWithLength = Buffer.concat([place, number(5, 4)]);
const event = Buffer.from('{"type":"cancel"}');
const counter = Buffer.concat([number(0, 8), number(2 * SEQ, 8)]);
const salt = createCipheriv('aes-256-ctr', eventKey, counter).update(fill(0, 32));
const events = sha256('hoop/events/v2\0', salt, number(event.length, 4), event);

function frame(type: Field, digest: Buffer, body: Buffer, notes: readonly [string, string]) {
  const before: readonly Field[] = [
    [number(body.length + 16, 4), `body length ${body.length + 16}`],
    type,
    [number(1, 1), 'flags: encrypted'],
    [number(0, 2), 'reserved'],
    [number(SEQ, 8), 'seq 2^32+2'],
    [number(1_500_000, 8), 't_us'],
    [digest, `digest: ${notes[0]}`],
  ];
  const header: readonly Field[] = [...before, [number(crc32(bytesOf(before)), 4), 'crc32']];
  const nonce = Buffer.concat([number(7, 4), number(SEQ, 8)]);
  const cipher = createCipheriv('aes-256-gcm', segmentKey, nonce).setAAD(bytesOf(header));
  const sealed = Buffer.concat([cipher.update(body), cipher.final()]);
  const fields: readonly Field[] = [
    ...header,
    [sealed, `ciphertext: ${notes[1]}`],
    [cipher.getAuthTag(), 'tag'],
  ];
  return { header: bytesOf(header), chained: bytesOf(before), fields };
}

const data = frame(
  [number(1, 1), 'type DATA'],
  sha256(C, number(1, 1), placeWithLength),
  Buffer.concat([place, Buffer.from('hello')]),
  ['of stream 3, down, offset 65536, 5 bytes', 'stream 3, down, offset 65536, "hello"'],
);
write('frame-data.hex', data.fields);
const groupParts: readonly Field[] = [
  [number(2, 4), 'two records'],
  [Buffer.concat([number(2, 1), number(event.length, 4)]), 'EVENT, 17 bytes'],
  [event, '{"type":"cancel"}'],
  [Buffer.concat([number(1, 1), number(18, 4)]), 'DATA, 18 bytes, of which the data is left out'],
  [place, 'stream 3, down, offset 65536'],
];
const group = frame(
  [number(6, 1), 'type GROUP'],
  sha256(C, number(6, 1), events, number(2, 4), number(2, 1), number(1, 1), placeWithLength),
  Buffer.concat([bytesOf(groupParts), Buffer.from('hello')]),
  ['of E and the place', 'EVENT {"type":"cancel"}, then DATA stream 3 down @65536 "hello"'],
);
write('frame-group.hex', group.fields);
const alone = frame([number(2, 1), 'type EVENT'], sha256(C, number(2, 1), salt, event), event, [
  'of the salt and the event',
  'EVENT {"type":"cancel"}',
]);
write('frame-event.hex', alone.fields);

write('head.hex', [
  [
    sha256('hoop/rec/v2\0', bytesOf(segmentHeader), data.chained, group.chained),
    'head after segment-header.hex, frame-data.hex and frame-group.hex',
  ],
]);
write('events-segment.hex', [
  [number(1, 1), 'record: segment'],
  [bytesOf(segmentHeader), 'segment-header.hex'],
]);
write('events-data.hex', [
  [number(2, 1), 'record: frame'],
  [data.header, 'frame header'],
  [place, 'stream 3, down, offset 65536'],
]);
write('events-group.hex', [
  [number(2, 1), 'record: frame'],
  [group.header, 'frame header'],
  ...groupParts,
]);

const point: readonly Field[] = [
  [session, 'session id'],
  [number(2, 4), 'epoch 2'],
  [number(9, 8), 'tree size 9'],
  [fill(0x33, 32), 'root'],
];
const clientTime: Field = [number(1_764_000_000_123, 8), 't_ms of the client'];
const gatewayTime: Field = [number(1_764_000_000_456, 8), 't_ms of the gateway'];
const ackPoint: readonly Field[] = [
  [fill(0x56, 32), 'head before the frame that holds the ack'],
  [number(11, 8), 'frames before it'],
];
write('cut-signing.hex', [
  [Buffer.from('hoop/cut/v2\0'), '"hoop/cut/v2\\0"'],
  ...point,
  clientTime,
  [fill(0x57, 32), 'head of the ack before'],
  [number(6, 8), 'frames of it'],
]);
for (const kind of ['ack', 'tail']) {
  write(`${kind}-signing.hex`, [
    [Buffer.from(`hoop/${kind}/v2\0`), `"hoop/${kind}/v2\\0"`],
    ...point,
    gatewayTime,
    ...ackPoint,
  ]);
}

const streams: readonly Field[] = [
  [number(2, 4), 'two streams'],
  [Buffer.concat([number(0, 4), number(0, 8), number(40, 8)]), 'stream 0: up 0, down 40'],
  [Buffer.concat([number(3, 4), number(10, 8), number(2 ** 32, 8)]), 'stream 3: up 10, down 2^32'],
];
const client: readonly Field[] = [clientTime, [fill(0x44, 64), 'client signature']];
const gateway: readonly Field[] = [gatewayTime, [fill(0x55, 64), 'gateway signature'], ...ackPoint];
const noClient: readonly Field[] = [[fill(0, 72), 'no client']];
const noGateway: readonly Field[] = [[fill(0, 112), 'no gateway']];
for (const [name, kind, sides] of [
  ['cut-proposed.hex', [number(1, 1), 'kind: proposed'], [...client, ...noGateway]],
  ['cut-agreed.hex', [number(2, 1), 'kind: agreed'], [...client, ...gateway]],
  ['cut-alone.hex', [number(3, 1), 'kind: the gateway alone'], [...noClient, ...gateway]],
] as const) {
  write(name, [kind, ...point.slice(1), ...sides, ...streams]);
}

text(
  'bundle-keys.hex',
  'canonical JSON, UTF-8',
  `{"event_key":"${eventKey.toString('base64')}","salt_key":"${fill(1, 32).toString('base64')}","v":2}`,
);
text(
  'manifest.hex',
  'DSSE envelope, UTF-8 JSON',
  encodeEnvelope(signEnvelope(MANIFEST_TYPE, encodeManifest(MANIFEST), CLIENT)),
);
