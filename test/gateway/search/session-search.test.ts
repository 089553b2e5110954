import { readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { API_VERSION } from '../../../src/api/http.ts';
import { SEARCH_PATH, SearchReply, type SearchRequest } from '../../../src/api/search.ts';
import type { GatewayClient } from '../../../src/client/gateway-client.ts';
import { jsonBody } from '../../../src/client/gateway-client.ts';
import { requestOf } from '../../../src/commands/sessions/sessions-search.ts';
import type { EmbeddedPostgres } from '../../../src/demo/embedded-postgres.ts';
import { runSessions } from '../../cli/run-command.ts';
import { startTestPostgres } from '../../postgres-template.ts';
import { bind, execute, parse, sync } from '../../replay/recorded-stream.ts';
import { type GatewayBench, startGatewayBench } from '../gateway-bench.ts';
import { rawRequest } from '../raw-request.ts';
import { startRun } from '../run-client.ts';
import { TestSession } from '../test-session.ts';

let postgres: EmbeddedPostgres;
let bench: GatewayBench;
let engineer: GatewayClient;
let dba: GatewayClient;
let auditor: GatewayClient;
/** Newest last. */
const ids: Record<'first' | 'dba' | 'live', string> = { first: '', dba: '', live: '' };
let live: TestSession;

beforeAll(async () => {
  postgres = await startTestPostgres();
  bench = await startGatewayBench({ isPolicyFixed: true, target: postgres });
  engineer = await bench.client('engineer');
  dba = await bench.client('dba');
  auditor = await bench.client('auditor');
  ids.first = await session(engineer, 'engineer', async (stream) => {
    await stream.query('SELECT 1 AS apricot');
    await stream.query('DROP TABLE customers');
    stream.send(
      Buffer.concat([parse('SELECT $1::text'), bind(['Blue  Banana']), execute(), sync()]),
    );
    await stream.readUntil('Z');
    await stream.query('select 2 as APRICOT');
  });
  ids.dba = await session(dba, 'dba', async (stream) => {
    await stream.query("SELECT 'apricot jam'");
  });
  live = await TestSession.open(bench, engineer);
  ids.live = live.id;
  const stream = await live.openStream(1);
  await stream.startUp('hoop', 'postgres');
  await stream.query("SELECT 'live apricot'");
});
afterAll(async () => {
  await live?.close();
  await bench?.[Symbol.asyncDispose]();
  await postgres?.[Symbol.asyncDispose]();
});

async function session(
  client: GatewayClient,
  _name: string,
  work: (stream: Awaited<ReturnType<TestSession['openStream']>>) => Promise<void>,
): Promise<string> {
  const opened = await TestSession.open(bench, client);
  const stream = await opened.openStream(1);
  await stream.startUp('hoop', 'postgres');
  await work(stream);
  await stream.end();
  await opened.close();
  return opened.id;
}

/** Page by page, as `hoop sessions search` does: a busy gateway ends a page when its time is up. */
async function search(
  client: GatewayClient,
  request: Partial<SearchRequest> = {},
): Promise<SearchReply> {
  const { limit = 50 } = request;
  const body = jsonBody({ v: API_VERSION, ...request, limit });
  const page = await client.json(
    SearchReply,
    { method: 'POST', path: SEARCH_PATH, body },
    bench.signal,
  );
  const isFull = page.hits.length >= limit;
  if (page.next === undefined || isFull) return page;
  const { next: cursor, hits, sessions, unread } = page;
  const rest = await search(client, { ...request, cursor, limit: limit - hits.length });
  return {
    ...rest,
    hits: [...hits, ...rest.hits],
    sessions: sessions + rest.sessions,
    unread: [...unread, ...rest.unread],
  };
}

const found = ({ hits }: SearchReply) =>
  hits.map(({ session: id, excerpt }) => [
    id,
    `${excerpt?.before}${excerpt?.match}${excerpt?.after}`,
  ]);

describe('a search by text', () => {
  test('finds statements of the asker’s own sessions, live ones first, then the newest', async () => {
    const reply = await search(engineer, { text: 'apricot' });
    expect(found(reply)).toEqual([
      [ids.live, "SELECT 'live apricot'"],
      [ids.first, 'select 2 as APRICOT'],
      [ids.first, 'SELECT 1 AS apricot'],
    ]);
    expect(reply).toMatchObject({ sessions: 2, unread: [] });
    expect(reply.next).toBeUndefined();
    expect(reply.hits[1]).toMatchObject({
      target: 'prod-db',
      principal: 'engineer@example.com',
      effect: 'allow',
      verbs: ['select'],
      excerpt: { in: 'text', match: 'APRICOT' },
    });
    expect(reply.hits[1]?.statement).toMatch(/^1\.\d+$/);
  });

  test('finds those of everybody for an auditor, and says whose they are', async () => {
    const reply = await search(auditor, { text: 'apricot' });
    expect(reply.hits.map(({ session: id, principal }) => [id, principal])).toEqual([
      [ids.live, 'engineer@example.com'],
      [ids.dba, 'dba@example.com'],
      [ids.first, 'engineer@example.com'],
      [ids.first, 'engineer@example.com'],
    ]);
  });

  test('finds what was refused, with its code', async () => {
    const reply = await search(engineer, { text: 'drop  TABLE', denied: true });
    expect(reply.hits).toMatchObject([
      {
        session: ids.first,
        effect: 'refuse',
        code: 'HOOP_NOT_ALLOWED',
        excerpt: { match: 'DROP TABLE' },
      },
    ]);
  });

  test('finds bound values, and says that it is one', async () => {
    const reply = await search(engineer, { text: 'blue banana' });
    expect(reply.hits).toMatchObject([{ excerpt: { in: 'parameter', match: 'Blue Banana' } }]);
  });

  test('goes on where it stopped, hit by hit, and misses and repeats none', async () => {
    const seen: [string, string][] = [];
    let cursor: string | undefined;
    for (let turn = 0; turn < 10; turn++) {
      const reply = await search(auditor, {
        text: 'apricot',
        limit: 1,
        ...(cursor === undefined ? {} : { cursor }),
      });
      seen.push(...reply.hits.map(({ session: id, time }): [string, string] => [id, time]));
      cursor = reply.next;
      if (cursor === undefined) {
        break;
      }
    }
    expect(cursor).toBeUndefined();
    expect(seen.map(([id]) => id)).toEqual([ids.live, ids.dba, ids.first, ids.first]);
    expect(new Set(seen.map(([id, time]) => id + time)).size).toBe(4);
  });

  test('is logged for each recording that it opens, without what was looked for', async () => {
    const before = bench.log.events.length;
    await search(auditor, { text: 'apricot jam', target: 'prod-db', user: 'DBA' });
    const lines = bench.log.events.slice(before);
    expect(lines.filter(({ event }) => event === 'recording.searched')).toMatchObject([
      { session: ids.dba, by: 'auditor@example.com' },
    ]);
    expect(JSON.stringify(lines)).not.toContain('apricot');
  });
});

describe('who may not read a recording', () => {
  test('learns nothing of its existence: no hit, no count, no place to go on from', async () => {
    const reply = await search(dba, { text: 'apricot' });
    expect(reply.hits.map(({ session: id }) => id)).toEqual([ids.dba]);
    expect(reply).toEqual({ v: 1, hits: reply.hits, sessions: 1, unread: [] });
    const index = await search(dba, { user: 'engineer' });
    expect(index).toEqual({ v: 1, hits: [], sessions: 0, unread: [] });
  });

  test('is no better off with somebody else’s cursor', async () => {
    const { next } = await search(auditor, { text: 'apricot', limit: 3 });
    expect(next).toBeDefined();
    const reply = await search(dba, {
      text: 'apricot',
      ...(next === undefined ? {} : { cursor: next }),
    });
    expect(reply).toEqual({ v: 1, hits: [], sessions: 0, unread: [] });
  });

  test('a run finds what is its own, and nothing of whoever started it', async () => {
    await using run = await startRun(bench, engineer);
    expect(await search(run.client, { text: 'apricot' })).toMatchObject({ hits: [], sessions: 0 });
    const id = await session(run.client, 'run', async (stream) => {
      await stream.query('SELECT 3 AS apricot');
    });
    const reply = await search(run.client, { text: 'apricot' });
    expect(reply.hits).toMatchObject([{ session: id, run: run.reply.run }]);
    expect(reply.sessions).toBe(1);
  });

  test('nobody searches without a login', async () => {
    expect((await rawRequest(bench, { method: 'POST', path: SEARCH_PATH })).status).toBe(401);
  });
});

describe('a search in the index', () => {
  test('opens no recording and has no text', async () => {
    const before = bench.log.events.length;
    const reply = await search(dba);
    expect(reply.hits).toMatchObject([{ session: ids.dba, verbs: ['select'], effect: 'allow' }]);
    expect(reply.hits[0]?.excerpt).toBeUndefined();
    const events = bench.log.events.slice(before).map(({ event }) => event);
    expect(events).toContain('sessions.searched');
    expect(events).not.toContain('recording.searched');
  });

  test('is in order of time, newest first, and goes on in the middle of a session', async () => {
    const all = await search(engineer, { target: 'prod-db' });
    const whole = all.hits.map(({ session: id, statement }) => `${id}:${statement}`);
    const paged: string[] = [];
    let cursor: string | undefined;
    do {
      const reply: SearchReply = await search(engineer, {
        target: 'prod-db',
        limit: 2,
        ...(cursor === undefined ? {} : { cursor }),
      });
      paged.push(...reply.hits.map(({ session: id, statement }) => `${id}:${statement}`));
      cursor = reply.next;
    } while (cursor !== undefined);
    expect(paged).toEqual(whole);
    const times = all.hits.filter(({ session: id }) => id === ids.first).map(({ time }) => time);
    expect(times.length).toBeGreaterThan(3);
    expect(times).toEqual(times.toSorted().reverse());
  });

  test('narrows by what was denied, by time, by agent, and by what was touched', async () => {
    const denied = await search(auditor, { denied: true });
    expect(denied.hits).toMatchObject([{ session: ids.first, effect: 'refuse' }]);
    const [hit] = denied.hits;
    const at = Date.parse(hit?.time ?? '');
    expect((await search(auditor, { denied: true, untilMs: at })).hits).toHaveLength(1);
    expect((await search(auditor, { denied: true, sinceMs: at + 1 })).hits).toEqual([]);
    expect((await search(auditor, { agent: 'devin' })).hits).toEqual([]);
    expect((await search(auditor, { touches: 'public.nothing' })).sessions).toBe(0);
  });

  test('a name with wildcards is a name', async () => {
    expect((await search(auditor, { user: '%' })).sessions).toBe(0);
    expect((await search(auditor, { user: 'engineer@example.com' })).sessions).toBeGreaterThan(0);
  });

  test.each(['', 'x', Buffer.from('{"id":"x"}').toString('base64url')])(
    'a cursor that is none (%j) is refused',
    async (cursor) => {
      await expect(search(engineer, { cursor })).rejects.toMatchObject({ code: 'HOOP_PROTOCOL' });
    },
  );
});

describe('a recording that cannot be read', () => {
  test('is named: erased, or damaged; the others are searched', async () => {
    const erased = await session(dba, 'dba', async (stream) => {
      await stream.query("SELECT 'plum'");
    });
    const damaged = await session(dba, 'dba', async (stream) => {
      await stream.query("SELECT 'plum'");
    });
    const intact = await session(dba, 'dba', async (stream) => {
      await stream.query("SELECT 'plum'");
    });
    const data = join(bench.directory, 'data');
    rmSync(join(data, 'keys', 'sessions', `${erased}.json`));
    const day = readdirSync(join(data, 'rec'))[0] ?? '';
    const segment = join(data, 'rec', day, damaged, 'seg-00000001.hrs');
    truncateSync(segment, 40);
    expect(statSync(segment).size).toBe(40);
    const reply = await search(dba, { text: 'plum' });
    expect(reply.hits.map(({ session: id }) => id)).toEqual([intact]);
    expect(reply.unread).toEqual([
      { session: damaged, why: 'damaged' },
      { session: erased, why: 'erased' },
    ]);
  });
});

describe('hoop sessions search', () => {
  const run = (account: string, ...args: string[]) =>
    runSessions(['search', ...args], { env: bench.environment(account) });

  test('prints a hit with place, who, target, effect and the text around it', async () => {
    const { stdout, stderr, status } = await run('engineer', 'APRICOT', '--since', '1h');
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    const lines = stdout.trimEnd().split('\n');
    expect(lines.length).toBeGreaterThanOrEqual(6);
    expect(lines.filter((_, index) => index % 2 === 1).join()).not.toMatch(/^\d{4}-/m);
    expect(lines[0]).toMatch(
      new RegExp(`^\\d{4}-.* ${ids.live}:1\\.\\d+  engineer@example.com  prod-db  allowed$`),
    );
    expect(lines[1]).toBe("    SELECT 'live apricot'");
  });

  test('--json has the hits, and where to go on from', async () => {
    const first = await run('auditor', 'apricot', '--limit', '1', '--json');
    const document = JSON.parse(first.stdout);
    expect(document).toMatchObject({ v: 1, hits: [{ session: ids.live }], unread: [] });
    const second = await run('auditor', 'apricot', '--json', '--cursor', document.next);
    const rest = JSON.parse(second.stdout);
    expect(rest.hits.length).toBeGreaterThan(1);
    expect(rest.hits).not.toContainEqual(expect.objectContaining({ session: ids.live }));
    expect(rest.next).toBeUndefined();
  });

  test('says when nothing was found, and what may be missing', async () => {
    const none = await run('engineer', 'no such thing');
    expect(none).toMatchObject({ stdout: '', status: 0 });
    expect(none.stderr).toMatch(/^hoop: nothing found in \d+ sessions that you may read\n$/);
    const unread = await run('dba', 'no such thing');
    expect(unread.stderr).toMatch(/hoop: session \S+: not searched: its recording was erased\n/);
  });

  test('says that the policy has no such agent, and what finds a program of that name', async () => {
    const none = await run('engineer', '--agent', 'claude');
    expect(none.stderr).toContain(
      'the policy has no agent "claude"; for what a program of that name did, use --program\n',
    );
    expect((await run('engineer', '--user', 'claude')).stderr).not.toContain('agent');
  });

  test('an answer of the index does not say that it looked at no session', async () => {
    const none = await run('engineer', '--touches', 'public.no_such_table');
    expect(none).toMatchObject({ stdout: '', status: 0 });
    expect(none.stderr).toMatch(
      /^hoop: nothing found in the index of all sessions that you may read$/m,
    );
  });

  test('--class with what is no class is refused by name, not answered with nothing', async () => {
    const result = await run('auditor', '--class', 'creditcard', '--seen-clear');
    expect(result).toMatchObject({ stdout: '', status: 2 });
    expect(result.stderr).toContain('there is no such class of values');
    expect(result.stderr).toContain('The classes are card, ');
    expect(await run('auditor', '--class', 'card', '--seen-clear')).toMatchObject({ status: 0 });
  });

  test.each([
    ['--seen-clear alone', ['--seen-clear'], /--seen-clear needs --touches with a column/],
    [
      '--seen-clear of a relation',
      ['--seen-clear', '--touches', 'public.customers', '--class', 'card'],
      /written schema\.table\.column/,
    ],
    ['a text with --seen-clear', ['x', '--seen-clear'], /do not work with a text/],
    ['a text with --class', ['x', '--class', 'card'], /do not work with a text/],
  ])('%s is refused before anything is asked', async (_what, args, message) => {
    const result = await runSessions(['search', ...args], { env: { HOOP_HOME: '/nonexistent' } });
    expect(result).toMatchObject({ stdout: '', status: 2 });
    expect(result.stderr).toMatch(message);
  });

  test('--touches, --class and --seen-clear go into one request', () => {
    const touches = 'public.customers.email';
    expect(requestOf(undefined, { limit: 1, touches, class: 'card', seenClear: true }, 0)).toEqual({
      v: 1,
      touches,
      class: 'card',
      seenClear: true,
    });
  });

  test.each([
    ['a time', ['--since', 'yesterday'], /"yesterday" is not a time for --since/],
    ['a text', ['   '], /the text to search for must have/],
  ])('%s that is none is refused before anything is asked', async (_what, args, message) => {
    const result = await runSessions(['search', ...args], { env: { HOOP_HOME: '/nonexistent' } });
    expect(result).toMatchObject({ stdout: '', status: 2 });
    expect(result.stderr).toMatch(message);
  });

  test('a day as --until is the whole day', () => {
    const now = Date.parse('2026-03-02T12:00:00Z');
    const { sinceMs = 0, untilMs = 0 } = requestOf(
      undefined,
      { limit: 1, since: '2026-03-01', until: '2026-03-01' },
      now,
    );
    expect(untilMs - sinceMs).toBe(86_400_000 - 1);
    expect(requestOf('x', { limit: 1, since: '2h' }, now).sinceMs).toBe(now - 7_200_000);
  });
});
