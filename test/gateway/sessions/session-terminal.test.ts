/** What a program shows on its terminal, at the gateway; the client is the test's own. */
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EmbeddedPostgres } from '../../../src/demo/embedded-postgres.ts';
import { bytesSource } from '../../../src/recording/bundle/bundle-source.ts';
import { uploadSession } from '../../../src/recording/client/upload-session.ts';
import { readSession } from '../../../src/recording/ended/read-session.ts';
import { startTestPostgres } from '../../postgres-template.ts';
import { CARRIERS, type CarrierKind } from '../carrier-pair.ts';
import { ENGINEERS, type GatewayBench, startGatewayBench } from '../gateway-bench.ts';
import { TestSession, type TestStream } from '../test-session.ts';

let postgres: EmbeddedPostgres;
let bench: GatewayBench;
beforeAll(async () => {
  postgres = await startTestPostgres();
  bench = await startGatewayBench({ target: postgres });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

const openTerminal = (
  session: TestSession,
  stream: number,
  kind?: CarrierKind,
): Promise<TestStream> => session.openStream(stream, kind, 'terminal');

test.each(CARRIERS)(
  'it is recorded over %s, in the tree that both sign, and answered by nothing',
  async (kind) => {
    const session = await TestSession.open(bench, 'engineer');
    const stream = await openTerminal(session, 1, kind);
    const gateway = await bench.client('engineer');
    const said = async (): Promise<string | undefined> =>
      (await gateway.session(session.id, bench.signal)).terminal;
    // One that was opened and has shown nothing is nothing to play.
    expect(await said()).toBeUndefined();
    stream.send(Buffer.from('shown'));
    stream.carrier.end(1000);
    await stream.closed;
    expect(await said()).toBe('recorded');
    await session.close();
    const { spools: directory, id } = session;
    await uploadSession({ directory, session: id, gateway, signal: bench.signal });
    const bundle = await buffer(await gateway.bundle(id, bench.signal));
    const { streams } = readSession(bytesSource(bundle));
    const terminals = streams.filter((one) => one.kind === 'terminal');
    expect(terminals.map(({ stream: number }) => number)).toEqual([1]);
    const pieces = terminals.flatMap((one) => [...one.pieces()]);
    expect(Buffer.concat(pieces.map(({ bytes }) => bytes)).toString()).toBe('shown');
    expect(pieces.map(({ direction }) => direction)).toEqual(pieces.map(() => 0));
  },
);

test('it is no connection of the session, and there is one at a time', async () => {
  const session = await TestSession.open(bench, 'engineer');
  const first = await openTerminal(session, 1);
  await expect(openTerminal(session, 2)).rejects.toMatchObject({ code: 'HOOP_LIMIT' });
  // The policy gives two connections.
  await session.openStream(3);
  await session.openStream(4);
  first.carrier.end(1000);
  await first.closed;
  const next = await openTerminal(session, 5);
  await session.close();
  await next.closed;
});

test('too much of it ends it, and the session goes on', async () => {
  const session = await TestSession.open(bench, 'engineer');
  const stream = await openTerminal(session, 1);
  const piece = Buffer.alloc(512 * 1024, 'x');
  while (stream.carrier.isOpen) {
    session.recording.data(1, 0, [piece]);
    session.recording.turns.flush();
    await new Promise<void>((resolve) => {
      stream.carrier.send([piece], () => resolve());
    });
  }
  await stream.closed;
  await expect(openTerminal(session, 2)).rejects.toMatchObject({ code: 'HOOP_LIMIT' });
  await (await session.openStream(3)).startUp('postgres', 'postgres');
  await session.close();
});

describe('where the policy says terminal: off', () => {
  const commit = async (text: string, message: string): Promise<void> => {
    const client = await bench.client('engineer');
    const before = (await client.policy(bench.signal)).commit;
    await bench.policy.commit({ files: { 'policies/engineers.yaml': text }, message });
    await expect.poll(async () => (await client.policy(bench.signal)).commit).not.toBe(before);
  };

  test('the client is told before, and refused if it does not listen', async () => {
    await commit(`${ENGINEERS}terminal: off\n`, 'off');
    const client = await bench.client('engineer');
    const { targets } = await client.targets(bench.signal);
    expect(targets).toMatchObject([{ name: 'prod-db', terminal: 'off' }]);
    const session = await TestSession.open(bench, 'engineer');
    expect(session.reply.terminal).toBe('off');
    await expect(openTerminal(session, 1)).rejects.toMatchObject({ code: 'HOOP_ACCESS_DENIED' });
    await session.close();
    await commit(ENGINEERS, 'on');
    expect((await client.targets(bench.signal)).targets[0]?.terminal).toBeUndefined();
  });

  test('what moves on a screen keeps no session from being idle', async () => {
    await commit(ENGINEERS.replace('idleTime: 10m', 'idleTime: 2s'), 'idle');
    const session = await TestSession.open(bench, 'engineer');
    const stream = await openTerminal(session, 1);
    const spinner = setInterval(() => stream.carrier.isOpen && stream.send(Buffer.from('|')), 100);
    expect((await session.message('closing')).reason).toBe('idle');
    clearInterval(spinner);
    await session.finish();
    await commit(ENGINEERS, 'as before');
  });
});
