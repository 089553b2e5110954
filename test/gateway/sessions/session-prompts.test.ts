/** Prompts in a session, against a gateway in this process and a real PostgreSQL. */
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EmbeddedPostgres } from '../../../src/demo/embedded-postgres.ts';
import { bytesSource } from '../../../src/recording/bundle/bundle-source.ts';
import { readSession, type SessionReading } from '../../../src/recording/ended/read-session.ts';
import { type PromptLine, promptLine } from '../../../src/recording/formats/prompt.ts';
import { startTestPostgres } from '../../postgres-template.ts';
import { buildTimeline } from '../../replay/timeline.ts';
import { type GatewayBench, startGatewayBench } from '../gateway-bench.ts';
import { TestSession } from '../test-session.ts';

let postgres: EmbeddedPostgres;
let bench: GatewayBench;
beforeAll(async () => {
  postgres = await startTestPostgres();
  bench = await startGatewayBench({ isPolicyFixed: true, target: postgres });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

function prompt(id: string, text = `do ${id}`): PromptLine {
  return promptLine({ id, source: 'flag', text, sentMs: Date.now() });
}

function lineOf(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

/** The recording of a session that has ended, as it is read later. */
async function read(account: string, session: string): Promise<SessionReading> {
  const client = await bench.client(account);
  const bundle = await buffer(await client.bundle(session, bench.signal));
  return readSession(bytesSource(bundle));
}

async function decisions(account: string, session: string) {
  const { events } = await read(account, session);
  return events.flatMap(({ event }) => (event.type === 'decision' ? [event] : []));
}

async function stamped(account: string, session: string): Promise<(string | undefined)[]> {
  return (await decisions(account, session)).map((decision) => decision.prompt);
}

describe('the prompt in force', () => {
  test('is stamped into each decision, and there is none before the first', async () => {
    const session = await TestSession.open(bench, 'engineer');
    const stream = await session.openStream(1);
    await stream.startUp('postgres', 'postgres');
    await stream.query('SELECT 1');
    const [first, second] = [lineOf(prompt('p1')), lineOf(prompt('p2'))];
    session.say(first);
    await session.recorded(first.length);
    await stream.query('SELECT 2; SELECT 3');
    await stream.query('SELECT * FROM nothing_there');
    session.say(second);
    await session.recorded(first.length + second.length);
    await stream.query('SELECT 4');
    await stream.end();
    await session.close();
    const prompts = await stamped('engineer', session.id);
    expect(prompts).toEqual([undefined, 'p1', 'p1', 'p1', 'p2']);
  });

  test('comes whole, whatever messages its line is cut into, and lines of other kinds do not count', async () => {
    const session = await TestSession.open(bench, 'engineer');
    const stream = await session.openStream(1);
    await stream.startUp('postgres', 'postgres');
    const text = [
      lineOf({ type: 'decided', stream: 1, at: 0, request: 'x', outcome: 'released', by: [] }),
      lineOf({ type: 'from-later', id: 7 }),
      'no JSON at all\n',
      lineOf(prompt('p1', 'ä'.repeat(100))),
    ].join('');
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += 7) {
      session.say(bytes.subarray(at, at + 7));
    }
    await session.recorded(bytes.length);
    await stream.query('SELECT 1');
    await stream.end();
    await session.close();
    expect(await stamped('engineer', session.id)).toEqual(['p1']);
    const entries = [...buildTimeline((await read('engineer', session.id)).timeline())];
    expect(entries.filter(({ type }) => type === 'prompt')).toMatchObject([
      { id: 'p1', text: 'ä'.repeat(100), isCut: false },
    ]);
    // What it said in the gateway's name is not shown as the gateway's.
    expect(entries.filter(({ type }) => type === 'evidence')).toMatchObject([{ kind: 'closing' }]);
    expect(entries.find(({ type }) => type === 'statement')).toMatchObject({ prompt: 'p1' });
  });

  test('of another session is not that of this one, whatever its id', async () => {
    const one = await TestSession.open(bench, 'engineer');
    const other = await TestSession.open(bench, 'dba');
    const line = lineOf(prompt('p1', 'mine'));
    one.say(line);
    await one.recorded(line.length);
    const stream = await other.openStream(1);
    await stream.startUp('postgres', 'postgres');
    await stream.query('SELECT 1');
    other.say(line);
    await other.recorded(line.length);
    await stream.query('SELECT 2');
    await stream.end();
    await other.close();
    await one.close();
    expect(await stamped('dba', other.id)).toEqual([undefined, 'p1']);
    expect(await stamped('engineer', one.id)).toEqual([]);
  });
});

describe('a modified client', () => {
  test.each([
    ['uses an id twice', [prompt('p1'), prompt('p2'), prompt('p1', 'what I really want')]],
    ['digests something else', [{ ...prompt('p1'), text: 'another text' }]],
    ['sends a prompt that is none', [{ type: 'prompt' }]],
    ['names it with control characters', [{ ...prompt('p1'), id: 'p\u001b[2J' }]],
    ['sends a line without an end', ['x'.repeat(300_000)]],
  ])('that %s loses its session, so that nothing runs under a wrong one', async (_what, said) => {
    const session = await TestSession.open(bench, 'engineer');
    for (const value of said) {
      session.say(typeof value === 'string' ? value : lineOf(value));
    }
    expect(await session.message('closing')).toMatchObject({ reason: 'client_lost' });
    await session.finish();
  });

  test('cannot fill the gateway with prompts', async () => {
    const session = await TestSession.open(bench, 'engineer');
    for (let count = 0; count < 200; count += 1) {
      session.control.send(Buffer.from(lineOf(prompt(`p${count}`, 'x'.repeat(32_000)))));
    }
    await once(session.control, 'close');
    await session.recording.close();
    const engineer = await bench.client('engineer');
    const ended = async () => (await engineer.session(session.id, bench.signal)).endReason;
    await expect.poll(ended).toBe('client_lost');
  });

  test('says what it likes in comments, and the verdict is the same', async () => {
    const session = await TestSession.open(bench, 'engineer');
    const stream = await session.openStream(1);
    await stream.startUp('postgres', 'postgres');
    const tags =
      "/*application='dba',traceparent='00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01'*/";
    const denied = await stream.query(`CREATE TABLE t (a int) ${tags}`);
    expect(denied.map(([type]) => type)).toContain('E');
    const allowed = await stream.query(`SELECT 1 ${tags}`);
    expect(allowed.map(([type]) => type)).not.toContain('E');
    await stream.end();
    await session.close();
    const comments = {
      application: 'dba',
      traceparent: '00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01',
    };
    expect(await decisions('engineer', session.id)).toMatchObject([
      { effect: 'refuse', comments },
      { effect: 'allow', comments },
    ]);
  });
});
