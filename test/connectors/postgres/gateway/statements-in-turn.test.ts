/** Texts of several statements that are decided one after the other: real policy, real server. */
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { compare } from '../../../../conformance/protocol/compare.ts';
import { SCHEMA } from '../../../../conformance/protocol/lanes.ts';
import { encode } from '../../../../conformance/protocol/messages.ts';
import type { Transcript } from '../../../../conformance/protocol/play.ts';
import type { Script } from '../../../../conformance/protocol/script.ts';
import { IN_TURN } from '../../../../conformance/protocol/scripts-in-turn.ts';
import { StatementPart } from '../../../../src/api/approvals.ts';
import { encodeCancelRequest } from '../../../../src/connectors/postgres/protocol/startup-packet.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { ada, approvalBench } from './approval-bench.ts';
import { type Bench, startBench } from './engine-bench.ts';
import { errors, letters, query, RawClient, report, status } from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const { target, direct, sql } = testTarget(`${SCHEMA}
  INSERT INTO t SELECT g, 'v' || g, g / 4.0 FROM generate_series(1, 5) g;
  CREATE TABLE secret (id int, v text); INSERT INTO secret VALUES (1, 'hidden-1');
`);
const real = realEngine(target);
const held = approvalBench(target);

const ALL = [
  'allow *',
  'allow create function, create type, do, call',
  'allow calls of public.*',
  'deny select on public.hoop_forbidden',
];
const grants = {
  'rules that restrict': grantOf({ rules: ALL }),
  'a masked column': grantOf({
    rules: [...ALL, 'allow calls of public.noisy that may show'],
    masks: ['public.secret.v full'],
  }),
};

const bench = (grant = grants['a masked column']): Promise<Bench> =>
  startBench({ target: target(), ...real.parts(), grant: () => grant });

/** Each step is answered with ReadyForQuery, or waits for the data of a COPY. */
async function play(client: RawClient, { steps }: Script): Promise<Transcript> {
  const from = client.received.length;
  for (const { send } of steps.filter((one) => one.send.length > 0)) {
    const start = client.received.length;
    client.send(send.map(encode));
    await client.until((all) => all.slice(start).some(({ type }) => 'ZG'.includes(type)));
  }
  return { received: client.received.slice(from), marks: [], stuckAt: undefined, closed: false };
}

/** What notices and details say of a statement that may have masked values at hand is withheld. */
function withoutTexts(transcript: Transcript): Transcript {
  const bare = (type: string, body: Buffer): Buffer => {
    if (type === 'N') return Buffer.alloc(0);
    const fields = body.toString('latin1').split('\0');
    return Buffer.from(
      fields.filter((field) => !'DM'.includes(field.at(0) ?? '-')).join('\0'),
      'latin1',
    );
  };
  return {
    ...transcript,
    received: transcript.received.map((one) =>
      'NE'.includes(one.type) ? { ...one, body: bare(one.type, one.body) } : one,
    ),
  };
}

describe.each(Object.entries(grants))(
  'the client sees what it sees directly, under %s',
  (_, grant) => {
    test.each(IN_TURN)('$title', async (script) => {
      await using engine = await bench(grant);
      await using native = await direct();
      await using client = await RawClient.open(engine.port);
      const expected = await play(native, script);
      const found = await play(client, script);
      const level = grant.masks.length === 0 ? (one: Transcript) => one : withoutTexts;
      expect(compare(level(expected), level(found), { anyLocation: true })).toBeUndefined();
      expect(engine.failures).toEqual([]);
    });
  },
);

const made = async (): Promise<unknown> => (await sql("SELECT to_regclass('made')"))[0]?.[0];
const slow =
  'create table made (id int); insert into made values (1); select pg_sleep(60) from made';

async function sleeping(isSo: boolean): Promise<void> {
  const waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
  while ((await sql(waiting)).length > 0 !== isSo);
}

describe('a text ends with the statement that is refused', () => {
  test('which is told where it stands; what ran is in the record, and the rest is not', async () => {
    await using engine = await bench();
    await using client = await RawClient.open(engine.port);
    const before = 'create table made (id int); insert into made values (1); ';
    const answers = await client.ask([
      query(`${before}create table copied as select v from secret; select 7 from made`),
    ]);
    expect(letters(answers)).toBe('C C E Z');
    expect(errors(answers)[0]).toMatchObject({ C: '42501' });
    expect(status(answers)).toBe('I');
    expect(await made()).toBeNull();
    const told = engine.events.flatMap((event) =>
      event.type === 'decision' ? [event.effect] : event.type === 'result' ? [event.tag] : [],
    );
    expect(told).toEqual(['allow', 'CREATE TABLE', 'allow', 'INSERT 0 1', 'refuse']);
  });

  test('and what a rule denies in any case is refused before anything runs', async () => {
    await using engine = await bench();
    await using client = await RawClient.open(engine.port);
    const answers = await client.ask([
      query('create table made (id int); select * from hoop_forbidden; select * from made'),
    ]);
    expect(letters(answers)).toBe('E Z');
    expect(errors(answers)[0]).toMatchObject({ C: '42501' });
  });

  test('within a transaction of the client it fails that', async () => {
    await using engine = await bench();
    await using client = await RawClient.open(engine.port);
    await client.ask([query('begin')]);
    const answers = await client.ask([
      query(
        'create table made (id int); insert into made values (1); select * from hoop_forbidden',
      ),
    ]);
    expect([letters(answers), status(answers)]).toEqual(['C C E Z', 'E']);
    await client.ask([query('rollback')]);
    expect(await made()).toBeNull();
  });

  test('a result above its limit of rows takes back what came before, and stops what follows', async () => {
    const grant = grants['a masked column'];
    await using engine = await bench({ ...grant, limits: { ...grant.limits, maxRows: 2 } });
    await using client = await RawClient.open(engine.port);
    const answers = await client.ask([
      query(
        'create table made (id int); insert into made select generate_series(1, 5); select * from made; commit',
      ),
    ]);
    expect(letters(answers)).toBe('C C T D D E Z');
    expect(errors(answers)[0]).toMatchObject({ R: 'HOOP_LIMIT' });
    expect(await made()).toBeNull();
  });
});

describe('in the middle of a text', () => {
  test('a cancel hits the statement that runs, and the rest with it', async () => {
    await using engine = await bench();
    await using client = await RawClient.open(engine.port);
    const key = client.received.find(({ type }) => type === 'K')?.body ?? Buffer.alloc(8);
    const from = client.received.length;
    client.send(query(`${slow}; commit`));
    await sleeping(true);
    connect(engine.port, '127.0.0.1').end(
      encodeCancelRequest({
        processId: key.readInt32BE(0),
        secretKey: Uint8Array.from(key.subarray(4)),
      }),
    );
    await client.until((all) => all.slice(from).some(({ type }) => type === 'Z'));
    const answers = client.received.slice(from);
    expect([letters(answers), errors(answers)[0]?.['C']]).toEqual(['C C T E Z', '57014']);
    expect(await made()).toBeNull();
    expect(errors(await client.ask([query('select 1')]))).toEqual([]);
  });

  test('a client that goes leaves nothing', async () => {
    await using engine = await bench();
    await using client = await RawClient.open(engine.port);
    client.send(query(`${slow}; commit`));
    await sleeping(true);
    client.socket.resetAndDestroy();
    await sleeping(false);
    await engine.idle();
    expect(await made()).toBeNull();
  });

  test('an approval is asked for the one statement that needs it, in the open transaction', async () => {
    const rules = ['allow *', 'approve update on public.t', 'deny select on public.hoop_forbidden'];
    const grant = grantOf({ rules });
    for (const decision of ['approve', 'deny'] as const) {
      await using engine = await held.open(() => grant);
      await using client = await RawClient.open(engine.port);
      const from = client.received.length;
      const update = "update t set v = 'w' where id in (select id from made)";
      client.send(
        query(
          `create table made (id int); insert into made values (1); ${update}; drop table made`,
        ),
      );
      await client.until((all) => all.slice(from).some(({ type }) => 'NE'.includes(type)));
      const notice = report(client.received.find(({ type }) => type === 'N')?.body ?? Buffer.of());
      const id = /request ([0-9a-z]{12})/.exec(`${notice['M']} ${notice['D']}`)?.[1] ?? '';
      const details = StatementPart.parse(await held.approvals().details(id));
      expect([details.text?.trim(), details.inTransaction]).toEqual([update, true]);
      await held.approvals().decide(ada, id, { decision });
      await client.until((all) => all.slice(from).some(({ type }) => type === 'Z'));
      const answers = client.received.slice(from);
      expect(letters(answers)).toBe(decision === 'approve' ? 'C C C C Z' : 'C C E Z');
      expect(await made()).toBeNull();
    }
    expect(await sql("SELECT count(*) FROM t WHERE v = 'w'")).toEqual([['1']]);
    await sql("UPDATE t SET v = 'v1' WHERE id = 1");
  });
});

describe('a deny of a table by its name, where the search_path is not known yet', () => {
  const grant = grantOf({ rules: ['allow *', 'deny drop, select on public.secret'] });

  test.each([
    ['in one text', ['SET search_path = public; DROP TABLE secret']],
    ['in a transaction', ['BEGIN', 'SET LOCAL search_path = public', 'DROP TABLE secret']],
    ['under another name', ['BEGIN', 'RESET search_path', 'ALTER TABLE secret RENAME TO open']],
    ['in another schema', ['SET search_path = public; ALTER TABLE secret SET SCHEMA pg_temp']],
  ])('holds %s', async (_, texts) => {
    await using engine = await bench(grant);
    await using client = await RawClient.open(engine.port);
    const answers = [];
    for (const text of texts) answers.push(...(await client.ask([query(text)])));
    expect(errors(answers).map(({ C }) => C)).toEqual(['42501']);
    expect(await sql("SELECT to_regclass('public.secret')::text")).toEqual([['secret']]);
  });

  test('what it does not name goes on', async () => {
    await using engine = await bench(grant);
    await using client = await RawClient.open(engine.port);
    const texts = [
      'SET search_path = public; CREATE TABLE made_2 (id int); ALTER TABLE made_2 RENAME TO made_3',
      'BEGIN; SET LOCAL search_path = public; ALTER TABLE made_3 ADD v text; COMMIT',
      'DROP TABLE made_3',
    ];
    for (const text of texts) expect(errors(await client.ask([query(text)]))).toEqual([]);
  });
});
