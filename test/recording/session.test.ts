import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { bytesSource } from '../../src/recording/bundle-source.ts';
import { readSession } from '../../src/recording/read-session.ts';
import { uploadSession } from '../../src/recording/upload-session.ts';
import { verifyBundle } from '../../src/recording/verify.ts';
import { RecordingBench, readBundle, SessionPair } from './session-pair.ts';

test('a session that ends in order is verified from its bundle', async () => {
  await using bench = await RecordingBench.create();
  const pair = await SessionPair.open(bench);
  pair.openStream(1);
  pair.up(1, Buffer.from('SELECT 1'));
  pair.gateway.event({
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
  pair.client.closeStream(1, { reason: 'closed' });
  pair.gateway.closeStream(1, 'closed');
  await pair.end();
  const transport = await pair.transport();
  const receipt = await uploadSession({
    directory: bench.spools,
    session: pair.session,
    gateway: transport,
    signal: AbortSignal.timeout(10_000),
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
