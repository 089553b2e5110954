/**
 * `hoop gateway events` with a real gateway: what it says of what people did, that it never has what
 * they typed or were shown, and that a reader misses nothing when the gateway goes and comes back.
 */
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AuditEventSchema } from '../../src/api/events.ts';
import { LAUNCHER } from '../../src/demo/hoop-process.ts';
import { findSshd } from '../../src/demo/openssh-server.ts';
import { waitFor } from '../wait-for.ts';
import { type Bench, type Connection, openBench } from './demo-bench.ts';
import { startProgram } from './live-program.ts';
import { formsOf } from './marker-forms.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

type Line = Readonly<Record<string, unknown>>;

const parsed = (ndjson: string): Line[] =>
  ndjson
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

async function events(...flags: string[]): Promise<Line[]> {
  const { stdout } = await bench.hoop('auditor', 'gateway', 'events', '--json', ...flags);
  return parsed(stdout);
}

/** What the table of events holds, in all of its columns. The gateway has the file to itself. */
function rows(): string {
  const directory = mkdtempSync(join(bench.demo.directory, 'index-'));
  for (const name of ['index.sqlite', 'index.sqlite-wal']) {
    copyFileSync(join(bench.demo.directory, 'gateway', name), join(directory, name));
  }
  using database = new DatabaseSync(join(directory, 'index.sqlite'));
  const found = database.prepare('SELECT * FROM audit_events').all();
  expect(found.length).toBeGreaterThan(20);
  return JSON.stringify(found);
}

async function held(connection: Connection): Promise<string> {
  const find = () => connection.lines.findLast((line) => line['event'] === 'held');
  await expect.poll(find).toBeDefined();
  return String(find()?.['request']);
}

/** Without a proof of a key: as anybody can. */
function sendToken(fields: Readonly<Record<string, string>>): Promise<number | undefined> {
  const url = new URL('/v1/token', bench.demo.gateway);
  const ca = readFileSync(bench.demo.ca);
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  const sent = request(url, { method: 'POST', ca, headers }, (reply) => {
    reply.resume();
    reply.on('end', () => resolve(reply.statusCode));
  });
  sent.on('error', reject);
  sent.end(new URLSearchParams(fields).toString());
  return promise;
}

describe('no event has what somebody typed or was shown', () => {
  const made = new Map<string, string>();
  const marker = (name: string): string => {
    const text = `mark${randomBytes(12).toString('hex')}`;
    made.set(name, text);
    return text;
  };
  const types = async () => (await events('--newest', '1000')).map(({ type }) => type);

  async function queries(): Promise<void> {
    const { directory } = bench.demo;
    const prompt = join(directory, 'task.md');
    writeFileSync(prompt, `Find ${marker('prompt')}`);
    const statements = [
      `SELECT '${marker('literal')}' AS "${marker('name')}" /* ${marker('comment')} */`,
      `UPDATE orders SET status = '${marker('value')}' WHERE id = 1`,
      'SELECT status FROM orders WHERE id = 1',
      `SELECT '${marker('error')}'::int`,
      `DROP TABLE "${marker('denied')}"`,
      `CREATE ROLE x PASSWORD '${marker('password')}'`,
      `SELECT ${marker('unknown column')} FROM orders`,
    ];
    const command = [
      ...['psql', '-X', '-v', `secret=${marker('variable')}`],
      ...statements.flatMap((text) => ['-c', text]),
    ];
    const flags = ['--reason', marker('reason'), '--prompt-file', prompt];
    const run = await bench.hoop('engineer', 'connect', 'prod-db', ...flags, '--', ...command);
    expect(run.stdout).toContain(made.get('value'));
    expect(run.stderr).toContain(made.get('denied'));
  }

  async function parametersAndVotes(): Promise<void> {
    await using connection = await bench.connect('engineer', '--reason', marker('reason 2'));
    const client = new pg.Client({ connectionString: connection.url });
    client.on('error', () => undefined);
    await client.connect();
    const values = [marker('parameter')];
    const { rows: found } = await client.query('SELECT $1::text AS one', values);
    expect(found).toEqual([{ one: values[0] }]);
    const refused = client.query('DELETE FROM customers WHERE id::text = $1', [marker('refused')]);
    await expect(refused).rejects.toThrow('not allowed');
    const waiting = client
      .query('DELETE FROM orders WHERE status = $1', [marker('held')])
      .catch(() => undefined);
    const id = await held(connection);
    const vote = ['approvals', 'deny', id, '--reason', marker('vote')];
    expect((await bench.hoop('dba', ...vote)).exitCode).toBe(0);
    await waiting;
    const end = ['sessions', 'end', connection.session, '--reason', marker('end')];
    expect((await bench.hoop('dba', ...end)).exitCode).toBe(0);
    await connection.service.exited;
    await bench.hoop('auditor', 'sessions', 'search', marker('search'));
    await bench.hoop('auditor', 'sessions', 'replay', connection.session, '--no-tui');
  }

  async function accessAndBlocks(): Promise<void> {
    const ask = ['access', 'request', 'prod-db', '--for', '1h', '--reason', marker('access')];
    const { stdout } = await bench.hoop('engineer', ...ask, '--json');
    const { id } = JSON.parse(stdout).approval;
    const vote = ['approvals', 'approve', id, '--reason', marker('approval')];
    expect((await bench.hoop('dba', ...vote)).exitCode).toBe(0);
    const block = ['access', 'block', 'devin@agents.example.com', '--reason', marker('block')];
    expect((await bench.hoop('dba', ...block)).exitCode).toBe(0);
    await bench.hoop('engineer', 'connect', marker('target'), '--', 'true');
  }

  async function refusedLogins(): Promise<void> {
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = {
      ...{ iss: bench.demo.issuer, sub: marker('sub'), email: marker('email') },
      ...{ aud: marker('audience'), secret: marker('claim'), groups: [marker('group')] },
    };
    const token = `${part({ alg: 'RS256', kid: marker('kid') })}.${part(claims)}.${marker('signature')}`;
    const exchange = {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
      subject_token: token,
    };
    for (const fields of [
      exchange,
      { ...exchange, subject_token_type: marker('type') },
      { ...exchange, grant_type: 'refresh_token', refresh_token: marker('handle') },
    ]) {
      expect(await sendToken(fields)).toBeGreaterThanOrEqual(400);
    }
  }

  async function commands(): Promise<void> {
    const command = `echo ${marker('command')}; exit 3`;
    expect(await bench.hoop('engineer', 'ssh', 'web-1', command)).toMatchObject({ exitCode: 3 });
    await bench.hoop('engineer', 'ssh', 'web-1', 'rm', marker('refused command'));
  }

  test('in statements, values, parameters, prompts, reasons, votes, tokens and commands', async () => {
    await queries();
    await parametersAndVotes();
    await accessAndBlocks();
    await refusedLogins();
    const hasServer = findSshd() !== undefined;
    if (hasServer) await commands();
    await waitFor(async () =>
      expect(await types()).toEqual(
        expect.arrayContaining([
          ...['login', 'login.refused', 'session.begin', 'session.refused', 'session.end'],
          ...['statement.refused', 'approval.requested', 'approval.voted', 'approval.state'],
          ...['access.given', 'access.blocked', 'recording.complete', 'recording.read'],
          ...['recording.searched', ...(hasServer ? ['act.refused'] : [])],
        ]),
      ),
    );
    const lines = await bench.hoop('auditor', 'gateway', 'events', '--newest', '1000', '--json');
    for (const line of parsed(lines.stdout)) AuditEventSchema.parse(line);
    const table = await bench.hoop('auditor', 'gateway', 'events', '--newest', '1000');
    const { password } = new URL(bench.demo.target.adminUrl);
    const secrets = new Map([...made, ['the password of the superuser', password]]);
    for (const [where, text] of Object.entries({
      'the NDJSON': lines.stdout,
      'the table': table.stdout,
      'the rows': rows(),
    })) {
      const bytes = Buffer.from(text);
      const found = [...secrets].filter(([, one]) =>
        formsOf(one).some((form) => bytes.includes(form)),
      );
      expect(found, where).toEqual([]);
    }
    // Whoever a token names that nobody vouches for is not named.
    const logins = parsed(lines.stdout).filter(({ type }) => type === 'login.refused');
    for (const line of logins) expect(line).not.toHaveProperty('who');
    // The markers are there where they belong: what was looked for was sent.
    const shown = await bench.hoop('engineer', 'sessions', 'list', '--json');
    expect(shown.stdout).toContain(made.get('reason'));
  });
});

describe('hoop gateway events', () => {
  test('is not for those who may not see sessions of others', async () => {
    const run = await bench.hoop('engineer', 'gateway', 'events', '--json');
    expect(run).toMatchObject({ exitCode: 4, stdout: '' });
    expect(run.stderr).toContain('HOOP_ACCESS_DENIED');
  });

  test('follows a gateway that is killed and comes back, and has each event once', async () => {
    const [last] = await events('--newest', '1');
    const cursor = String(last?.['cursor']);
    const args = ['gateway', 'events', '--follow', '--json', '--since', cursor];
    const home = bench.home('auditor');
    const follower = startProgram(process.execPath, [LAUNCHER, ...args], { home });
    const denied = () => bench.psql('engineer', 'DROP TABLE orders');
    const ofType = (type: string) =>
      parsed(follower.output().replace(/[^\n]*$/, '')).filter((line) => line['type'] === type);
    await denied();
    await expect.poll(() => ofType('statement.refused')).toHaveLength(1);
    await bench.demo.restartGateway('SIGKILL');
    await expect.poll(() => follower.errors()).toContain('trying again until it is back');
    await denied();
    await expect.poll(() => ofType('recording.complete')).toHaveLength(2);
    follower.child.kill('SIGINT');
    await follower.ended;
    const followed = parsed(follower.output());
    expect(followed.map((line) => line['cursor'])).toEqual(
      (await events('--since', cursor)).map((line) => line['cursor']),
    );
    expect(ofType('statement.refused')).toHaveLength(2);
    expect(ofType('gateway.started')).toHaveLength(1);
    for (const line of followed) AuditEventSchema.parse(line);
    // From the middle on, exactly.
    const middle = followed[2];
    const rest = await events('--since', String(middle?.['cursor']));
    expect(rest).toEqual(followed.slice(3));
  });

  test('counts what a client is refused as fast as it can ask, and nobody else waits', async () => {
    const [last] = await events('--newest', '1');
    const cursor = String(last?.['cursor']);
    await using connection = await bench.connect('engineer');
    const client = new pg.Client({ connectionString: connection.url, pipeline: true });
    client.on('error', () => undefined);
    await client.connect();
    const COUNT = 10_000;
    let refused = 0;
    await Promise.all(
      Array.from({ length: COUNT }, () =>
        client.query('DROP TABLE orders').catch(({ code }: { code?: string }) => {
          refused += code === '42501' ? 1 : 0;
        }),
      ),
    );
    expect(refused).toBe(COUNT);
    expect((await bench.psql('engineer', 'SELECT 1')).exitCode).toBe(0);
    await client.end();
    await connection.close();
    const { session } = connection;
    const found = await events('--since', cursor, '--session', session);
    const told = found.filter((line) => line['type'] === 'statement.refused');
    const sum = told.reduce((all, line) => all + Number(line['count'] ?? 1), 0);
    const end = found.find((line) => line['type'] === 'session.end');
    expect(end).toMatchObject({ statements: COUNT, denied: COUNT });
    expect(sum).toBe(COUNT);
    const lastedMs = Date.parse(String(end?.['time'])) - Date.parse(String(found[0]?.['time']));
    // 20 at once, one more in 3 s, and a count in 5 s.
    expect(told.length).toBeLessThanOrEqual(22 + lastedMs / 3000 + lastedMs / 5000);
  });
});
