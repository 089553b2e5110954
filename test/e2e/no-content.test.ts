/** No production data is at rest on the user's machine: not during a session, not after, not after a kill. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHoop } from '../../src/demo/hoop-process.ts';
import { readReceipt } from '../../src/recording/client/spool.ts';
import { decodeEnvelope } from '../../src/recording/formats/dsse.ts';
import { decodeManifest } from '../../src/recording/formats/manifest.ts';
import { type Bench, Connection, openBench } from './demo-bench.ts';
import { formsOf } from './marker-forms.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

/** What is on the disk below these directories, file by file. */
function* filesBelow(directory: string): Generator<readonly [path: string, bytes: Buffer]> {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) {
      yield* filesBelow(path);
    } else if (entry.isFile()) {
      yield [path, readFileSync(path)];
    }
  }
}

class Machine {
  readonly temporary = join(bench.demo.directory, `tmp-${randomBytes(4).toString('hex')}`);
  readonly home = bench.home('engineer');
  readonly asked = `asked-${randomBytes(12).toString('hex')}`;
  readonly #half = randomBytes(12).toString('hex');
  readonly answered = `answered-${this.#half}`;

  constructor() {
    mkdirSync(this.temporary);
  }

  /** With the question's marker in what goes up, and another that only the answer has. */
  async work(url: string): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: url });
    // It is killed with its session, in one of the tests.
    client.on('error', () => undefined);
    await client.connect();
    const { rows } = await client.query({
      text: `SELECT 'ans' || 'wered-' || $1 AS m, '${this.asked}' AS q FROM generate_series(1, 20000)`,
      values: [this.#half],
    });
    expect(rows).toHaveLength(20_000);
    expect(rows.at(-1)).toMatchObject({ m: this.answered, q: this.asked });
    return client;
  }

  connect(variables: Record<string, string> = {}): Promise<Connection> {
    const lines: Record<string, unknown>[] = [];
    return startHoop(['connect', 'prod-db', '--json'], 'listening', {
      home: this.home,
      variables: { TMPDIR: this.temporary, ...variables },
      onLine: (line) => lines.push({ ...line }),
    }).then((service) => new Connection(service, lines));
  }

  journal(session: string): Buffer {
    const directory = join(this.home, 'sessions', session);
    return Buffer.concat([...filesBelow(directory)].map(([, bytes]) => bytes));
  }

  /** Files that hold what was asked or answered. */
  found(): string[] {
    const forms = [this.asked, this.answered, this.#half].flatMap(formsOf);
    return [this.home, this.temporary].flatMap((directory) =>
      [...filesBelow(directory)].flatMap(([path, bytes]) =>
        forms.some((form) => bytes.includes(form)) ? [path] : [],
      ),
    );
  }
}

test('during a session, and when it has ended and is uploaded', async () => {
  const machine = new Machine();
  await using connection = await machine.connect();
  const client = await machine.work(connection.url);
  // It is there, and is no archive.
  const journal = machine.journal(connection.session);
  expect(journal.length).toBeGreaterThan(200);
  expect(journal.includes('HOOPJNL2')).toBe(true);
  expect(machine.found()).toEqual([]);
  await client.end();
  expect(machine.found()).toEqual([]);
  expect(await connection.close()).toBe(130);
  expect(machine.found()).toEqual([]);
  const verified = await bench.hoop('engineer', 'sessions', 'verify', connection.session);
  expect(verified.stdout).toContain('verified (two-sided, not logged)');
  const replay = await bench.hoop('engineer', 'sessions', 'replay', connection.session);
  expect(replay.stdout).toContain(machine.asked);
  expect(machine.found()).toEqual([]);
});

test('after kill -9, and when the next hoop has settled the session, with every byte signed', async () => {
  const machine = new Machine();
  const connection = await machine.connect();
  await machine.work(connection.url);
  connection.service.kill('SIGKILL');
  await connection.service.exited;
  expect(machine.found()).toEqual([]);
  const directory = join(machine.home, 'sessions', connection.session);
  expect(existsSync(join(directory, 'receipt.json'))).toBe(false);
  await expect
    .poll(
      () =>
        bench.psql('engineer', 'SELECT 1').then(() => existsSync(join(directory, 'receipt.json'))),
      {
        timeout: 60_000,
      },
    )
    .toBe(true);
  expect(machine.found()).toEqual([]);
  // Of stream 0 the gateway has a line that nobody was there to hear any more. Of the connection
  // both sides have signed every byte, with a client that could not read one of them.
  const { envelope } = readReceipt(directory) ?? { envelope: '' };
  const { streams, cuts } = decodeManifest(decodeEnvelope(Buffer.from(envelope), 'the receipt'));
  const signed = cuts.filter(({ client }) => client !== undefined);
  const connections = streams.filter(({ kind }) => kind === 'postgres');
  expect(connections).toHaveLength(1);
  for (const { stream, up, down } of connections) {
    expect(down).toBeGreaterThan(1_000_000);
    const last = signed.flatMap((cut) => cut.streams.filter((one) => one.stream === stream)).at(-1);
    expect(last).toEqual({ stream, up, down });
  }
});

test('with download: always the recording is fetched, and nothing else holds it', async () => {
  const machine = new Machine();
  const connection = await machine.connect({ HOOP_DOWNLOAD: 'always' });
  const client = await machine.work(connection.url);
  expect(machine.found()).toEqual([]);
  await client.end();
  expect(await connection.close()).toBe(130);
  const file = join(machine.home, 'recordings', `${connection.session}.tar`);
  expect(machine.found()).toEqual([file]);
  const verified = await bench.hoop('engineer', 'sessions', 'verify', file);
  expect(verified.stdout).toContain('verified (two-sided, not logged)');
});
