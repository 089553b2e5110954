/** A statement with a password that waits for approval: real policy, store and server. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { StatementPart } from '../../../../src/api/approvals.ts';
import { connectTarget } from '../../../../src/connectors/postgres/gateway/target/target-connection.ts';
import { Secret } from '../../../../src/secret.ts';
import { ada, approvalBench, grantOfCommit, held, noticeOf, readyAgain } from './approval-bench.ts';
import type { Bench } from './engine-bench.ts';
import { bind, errors, execute, parse, query, RawClient, sync } from './raw-client.ts';
import { testTarget } from './test-target.ts';

const { target } = testTarget('CREATE ROLE app LOGIN');
const bench = approvalBench(target);
let engine: Bench;
const grant = grantOfCommit(['allow select', 'approve alter own login, do']);
beforeAll(async () => {
  engine = await bench.open(() => grant);
});
afterAll(() => engine[Symbol.asyncDispose]());

async function logIn(password: string): Promise<void> {
  await using connection = await connectTarget({
    target: { ...target(), user: 'app', password: new Secret(password) },
    signal: new AbortController().signal,
  });
  expect(await connection.query('SELECT current_user')).toEqual([['app']]);
}

/** Every value of every table. */
function indexed(): string {
  const { database } = bench.index();
  const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
  return tables
    .map(({ name }) => {
      const rows = database.prepare(`SELECT * FROM "${String(name)}"`).all();
      return rows
        .flatMap((row) => Object.values(row))
        .map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString() : value))
        .join('\n');
    })
    .join('\n');
}

test.each([
  ['Query', 'geheim-1', query("ALTER ROLE app PASSWORD 'geheim-1'")],
  [
    'Query of several statements',
    'geheim-2',
    query("SELECT 1; ALTER ROLE app WITH LOGIN PASSWORD E'geheim-2'"),
  ],
  [
    'prepared statement',
    'geheim-3',
    Buffer.concat([
      parse('ALTER USER app ENCRYPTED PASSWORD $p$geheim-3$p$'),
      bind(),
      execute(),
      sync,
    ]),
  ],
  ['DO', 'geheim-4', query("DO $$ BEGIN ALTER ROLE app PASSWORD 'geheim-4'; END $$")],
])(
  'a password in a %s is shown to no one while it waits, and set as written',
  async (_, password, messages) => {
    await using client = await RawClient.open(engine.port);
    client.received.splice(0);
    client.socket.write(messages);
    const id = await held(client);
    const details = await bench.approvals().details(id);
    const { view, text } = StatementPart.parse(details);
    expect(text).toContain("'****'");
    expect(JSON.stringify(view)).toContain("'****'");
    await bench.approvals().decide(ada, id, { decision: 'approve' });
    await client.until(readyAgain(1));
    expect(errors(client.received)).toEqual([]);
    await logIn(password);
    const kept = [
      details,
      await bench.approvals().visible(ada, id),
      noticeOf(client),
      engine.events,
      engine.evidence,
      bench.logged(),
      indexed(),
    ];
    expect(JSON.stringify(kept)).not.toContain('geheim');
  },
);

test('a password in a statement that is denied is in no hint, event or row of the index', async () => {
  await using client = await RawClient.open(engine.port);
  client.received.splice(0);
  client.socket.write(query("ALTER ROLE app PASSWORD 'geheim-5'"));
  const id = await held(client);
  await bench.approvals().decide(ada, id, { decision: 'deny', reason: 'not now' });
  await client.until(readyAgain(1));
  const [denied] = errors(client.received);
  expect(denied).toMatchObject({ R: 'HOOP_APPROVAL_DENIED' });
  const kept = [denied, engine.events, engine.evidence, bench.logged(), indexed()];
  expect(JSON.stringify(kept)).not.toContain('geheim');
});
