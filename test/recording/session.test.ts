import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { bytesSource } from '../../src/recording/bundle/bundle-source.ts';
import { uploadSession } from '../../src/recording/client/upload-session.ts';
import { readSession } from '../../src/recording/ended/read-session.ts';
import { verifyBundle } from '../../src/recording/verify/verify.ts';
import { CLOSED_FILE } from '../../src/recording/write/recording-store.ts';
import { RecordingBench, readBundle, SessionPair } from './session-pair.ts';

test('a session that ends in order is verified from its bundle', async () => {
  await using bench = await RecordingBench.create();
  const pair = await SessionPair.open(bench);
  pair.openStream(1);
  pair.up(1, Buffer.from('SELECT 1'));
  pair.gateway.writer.event({
    type: 'result',
    stream: 1,
    at: 0,
    statement: 1,
    rows: 1,
    maskedValues: 3,
    detected: {},
    tag: 'SELECT 1',
    sqlState: undefined,
  });
  const answer = randomBytes(200_000);
  pair.down(1, answer);
  pair.client.closeStream(1);
  pair.gateway.closeStream(1, 'closed');
  await pair.end();
  const transport = await pair.transport();
  const receipt = await uploadSession({
    directory: bench.spools,
    session: pair.session,
    gateway: transport,
    signal: new AbortController().signal,
  });
  expect(receipt).toMatchObject({ endReason: 'closed', hasUnconfirmedTail: false });
  const bundle = await readBundle(transport.ended);
  const result = verifyBundle(bytesSource(bundle), bench.trust);
  expect(result.checks.filter(({ status }) => status !== 'ok')).toEqual([
    { name: 'log checkpoint', status: 'not applicable', text: 'this version keeps no log' },
    { name: 'log inclusion', status: 'not applicable', text: 'the session is not in a log' },
  ]);
  expect(result).toMatchObject({ exitStatus: 0, verdict: 'verified (two-sided, not logged)' });

  const reading = readSession(bytesSource(bundle));
  expect(reading.streams.map(({ stream, kind }) => [stream, kind])).toEqual([
    [0, 'evidence'],
    [1, 'postgres'],
  ]);
  const down = [...(reading.streams[1]?.pieces() ?? [])].filter((piece) => piece.direction === 1);
  expect(Buffer.concat(down.map(({ bytes }) => bytes)).equals(answer)).toBe(true);
  expect(reading.evidence.map(({ line }) => line.type)).toEqual(['closing']);
  expect(reading.events.map(({ event }) => event.type)).toEqual([
    'stream.open',
    'result',
    'stream.close',
    'session.close',
  ]);
});

test('a write of a byte each piece is one frame, and reads back whole', async () => {
  await using bench = await RecordingBench.create();
  const pair = await SessionPair.open(bench);
  pair.openStream(1);
  await pair.gateway.writer.sync();
  // Beyond what a call takes as arguments.
  const sent = Buffer.alloc(200_000, 'byte for byte ');
  const pieces = Array.from(sent, (_, at) => sent.subarray(at, at + 1));
  for (const recording of [pair.client, pair.gateway]) {
    recording.data(1, 0, pieces);
    recording.turns.flush();
  }
  expect(pair.gateway.writer.offsets(1)).toEqual({ stream: 1, up: sent.length, down: 0 });
  pair.client.closeStream(1);
  pair.gateway.closeStream(1, 'closed');
  await pair.end();
  const transport = await pair.transport();
  await uploadSession({
    directory: bench.spools,
    session: pair.session,
    gateway: transport,
    signal: new AbortController().signal,
  });
  const bundle = await readBundle(transport.ended);
  expect(verifyBundle(bytesSource(bundle), bench.trust).verdict).toBe(
    'verified (two-sided, not logged)',
  );
  const reading = readSession(bytesSource(bundle));
  const read = [...(reading.streams[1]?.pieces() ?? [])].map(({ bytes }) => bytes);
  expect(Buffer.concat(read).equals(sent)).toBe(true);
});

test('what several streams leave in one turn is one frame, is agreed on, and reads back apart', async () => {
  await using bench = await RecordingBench.create();
  const pair = await SessionPair.open(bench);
  const streams = [1, 2, 3];
  for (const stream of streams) {
    pair.openStream(stream);
  }
  await pair.gateway.writer.sync();
  const forwarded: string[] = [];
  const said = (stream: number, turn: number): string => `stream ${stream}, turn ${turn};`;
  for (let turn = 0; turn < 40; turn += 1) {
    for (const stream of streams) {
      const bytes = Buffer.from(said(stream, turn));
      pair.client.data(stream, 0, [bytes]);
      pair.gateway.data(stream, 0, [bytes]);
      pair.gateway.data(stream, 1, [bytes]);
      pair.client.data(stream, 1, [bytes]);
      pair.gateway.turns.whenWritten(() => forwarded.push(said(stream, turn)));
    }
    // Nothing goes on before it is written, and then all of it in order.
    expect(forwarded).toHaveLength(turn * streams.length);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const all = Array.from({ length: 40 }, (_, turn) => streams.map((id) => said(id, turn)));
  expect(forwarded).toEqual(all.flat());
  for (const stream of streams) {
    pair.client.closeStream(stream);
    pair.gateway.closeStream(stream, 'closed');
  }
  await pair.end();
  const transport = await pair.transport();
  await uploadSession({
    directory: bench.spools,
    session: pair.session,
    gateway: transport,
    signal: new AbortController().signal,
  });
  const bundle = await readBundle(transport.ended);
  const result = verifyBundle(bytesSource(bundle), bench.trust);
  expect(result.verdict).toBe('verified (two-sided, not logged)');
  const chain = result.checks.find(({ name }) => name === 'head chain');
  // One per turn, and what begins and ends the session; not 240.
  expect(Number(/^(\d+) frames/.exec(chain?.text ?? '')?.[1])).toBeLessThan(60);
  const reading = readSession(bytesSource(bundle));
  for (const stream of streams) {
    const pieces = [...(reading.streams[stream]?.pieces() ?? [])];
    for (const direction of [0, 1]) {
      const bytes = pieces.filter((piece) => piece.direction === direction);
      const text = Buffer.concat(bytes.map((piece) => piece.bytes)).toString();
      expect(text).toBe(all.map((turn) => turn[stream - 1]).join(''));
    }
  }
});

test.each(['gateway', 'client'] as const)(
  'a fault of ours behind the record of the %s stops the session, and its record is closed in order',
  async (side) => {
    await using bench = await RecordingBench.create();
    const pair = await SessionPair.open(bench);
    for (const stream of [1, 2]) {
      pair.openStream(stream);
    }
    const recording = pair[side];
    recording.data(1, 0, [Buffer.from('lost on its way')]);
    recording.turns.whenWritten(() => {
      throw new TypeError('a fault of ours');
    });
    recording.data(2, 0, [Buffer.from('behind it')]);
    recording.turns.whenWritten(() => expect.unreachable('nothing goes on behind it'));
    expect(() => recording.turns.flush()).toThrow('what was recorded could not be passed on');
    expect(recording.stopped.reason).toMatchObject({
      endReason: 'recording_failed',
      code: 'HOOP_INTERNAL',
      cause: { message: 'a fault of ours' },
    });
    expect(() => recording.data(1, 0, [Buffer.from('more')])).toThrow('could not be passed on');
    await pair.gateway.close({ reason: 'recording_failed' });
    await pair.client.close();
    expect(existsSync(join(pair.gateway.directory, CLOSED_FILE))).toBe(true);
  },
);
