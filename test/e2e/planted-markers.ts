/** What people type and are shown, each with a marker of its own, through a gateway and its CLI. */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import pg from 'pg';
import { expect } from 'vitest';
import { TokenRecord } from '../../src/auth/token-record.ts';
import { findSshd } from '../../src/demo/openssh-server.ts';
import type { Bench, Connection } from './demo-bench.ts';

export class PlantedMarkers {
  /** By what they stand for. */
  readonly made = new Map<string, string>();
  readonly hasServer = findSshd() !== undefined;
  readonly #bench: Bench;

  constructor(bench: Bench) {
    this.#bench = bench;
  }

  /** Everything that has a place for a word. */
  async plant(): Promise<void> {
    await this.#queries();
    await this.#parametersAndVotes();
    await this.#accessAndBlocks();
    await this.#refusedLogins();
    if (this.hasServer) await this.#commands();
  }

  /** What nobody typed: the password of the target, and what each login has. */
  secrets(): Map<string, string> {
    const { target, homes } = this.#bench.demo;
    const found = new Map([['password of the target', new URL(target.adminUrl).password]]);
    for (const [name, home] of Object.entries(homes)) {
      const { tokens } = JSON.parse(readFileSync(join(home, 'tokens.json'), 'utf8'));
      const [first] = Object.values(tokens);
      const { accessToken, refreshToken, key, provider } = TokenRecord.parse(first);
      // The parts without which the rest is worth nothing: signature and MAC.
      found.set(`access token of ${name}`, accessToken.replace(/.*\./, ''));
      found.set(`refresh handle of ${name}`, refreshToken.replace(/.*\./, ''));
      found.set(`key of ${name}`, key);
      const { refreshToken: ofProvider } = provider ?? {};
      if (ofProvider !== undefined) found.set(`provider's token of ${name}`, ofProvider);
    }
    return found;
  }

  #marker(name: string): string {
    const text = `mark${randomBytes(12).toString('hex')}`;
    this.made.set(name, text);
    return text;
  }

  async #queries(): Promise<void> {
    const prompt = join(this.#bench.demo.directory, 'task.md');
    writeFileSync(prompt, `Find ${this.#marker('prompt')}`);
    const statements = [
      `SELECT '${this.#marker('literal')}' AS "${this.#marker('name')}" /* ${this.#marker('comment')} */`,
      `UPDATE orders SET status = '${this.#marker('value')}' WHERE id = 1`,
      'SELECT status FROM orders WHERE id = 1',
      `SELECT '${this.#marker('error')}'::int`,
      `DROP TABLE "${this.#marker('denied')}"`,
      `CREATE ROLE x PASSWORD '${this.#marker('password')}'`,
      `SELECT ${this.#marker('unknown column')} FROM orders`,
    ];
    const command = [
      ...['psql', '-X', '-v', `secret=${this.#marker('variable')}`],
      ...statements.flatMap((text) => ['-c', text]),
    ];
    const flags = ['--reason', this.#marker('reason'), '--prompt-file', prompt];
    const run = await this.#bench.hoop(
      'engineer',
      'connect',
      'prod-db',
      ...flags,
      '--',
      ...command,
    );
    expect(run.stdout).toContain(this.made.get('value'));
    expect(run.stderr).toContain(this.made.get('denied'));
  }

  async #parametersAndVotes(): Promise<void> {
    const bench = this.#bench;
    await using connection = await bench.connect('engineer', '--reason', this.#marker('reason 2'));
    const client = new pg.Client({ connectionString: connection.url });
    client.on('error', () => undefined);
    await client.connect();
    const values = [this.#marker('parameter')];
    const { rows: found } = await client.query('SELECT $1::text AS one', values);
    expect(found).toEqual([{ one: values[0] }]);
    const refused = client.query('DELETE FROM customers WHERE id::text = $1', [
      this.#marker('refused'),
    ]);
    await expect(refused).rejects.toThrow('not allowed');
    const waiting = client
      .query(`DELETE FROM orders WHERE status = $1 OR status = '${this.#marker('held literal')}'`, [
        this.#marker('held'),
      ])
      .catch(() => undefined);
    const id = await heldRequest(connection);
    const vote = ['approvals', 'deny', id, '--reason', this.#marker('vote')];
    expect((await bench.hoop('dba', ...vote)).exitCode).toBe(0);
    await waiting;
    const end = ['sessions', 'end', connection.session, '--reason', this.#marker('end')];
    expect((await bench.hoop('dba', ...end)).exitCode).toBe(0);
    // The port outlives the session, whose recording is uploaded meanwhile.
    await connection.event('uploaded');
    await connection.close();
    await bench.hoop('auditor', 'sessions', 'search', this.#marker('search'));
    await bench.hoop('auditor', 'sessions', 'replay', connection.session, '--no-tui');
  }

  async #accessAndBlocks(): Promise<void> {
    const bench = this.#bench;
    const ask = ['access', 'request', 'prod-db', '--for', '1h', '--reason', this.#marker('access')];
    const { stdout } = await bench.hoop('engineer', ...ask, '--json');
    const { id } = JSON.parse(stdout).approval;
    const vote = ['approvals', 'approve', id, '--reason', this.#marker('approval')];
    expect((await bench.hoop('dba', ...vote)).exitCode).toBe(0);
    const block = [
      'access',
      'block',
      'devin@agents.example.com',
      '--reason',
      this.#marker('block'),
    ];
    expect((await bench.hoop('dba', ...block)).exitCode).toBe(0);
    await bench.hoop('engineer', 'connect', this.#marker('target'), '--', 'true');
  }

  async #refusedLogins(): Promise<void> {
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = {
      ...{ iss: this.#bench.demo.issuer, sub: this.#marker('sub'), email: this.#marker('email') },
      ...{ aud: this.#marker('audience'), secret: this.#marker('claim') },
      groups: [this.#marker('group')],
    };
    const head = { alg: 'RS256', kid: this.#marker('kid') };
    const token = `${part(head)}.${part(claims)}.${this.#marker('signature')}`;
    const exchange = {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
      subject_token: token,
    };
    for (const fields of [
      exchange,
      { ...exchange, subject_token_type: this.#marker('type') },
      { ...exchange, grant_type: 'refresh_token', refresh_token: this.#marker('handle') },
    ]) {
      expect(await this.#sendToken(fields)).toBeGreaterThanOrEqual(400);
    }
  }

  async #commands(): Promise<void> {
    const command = `echo ${this.#marker('command')}; exit 3`;
    const ran = await this.#bench.hoop('engineer', 'ssh', 'web-1', command);
    expect(ran).toMatchObject({ exitCode: 3 });
    await this.#bench.hoop('engineer', 'ssh', 'web-1', 'rm', this.#marker('refused command'));
  }

  /** Without a proof of a key: as anybody can. */
  #sendToken(fields: Readonly<Record<string, string>>): Promise<number | undefined> {
    const url = new URL('/v1/token', this.#bench.demo.gateway);
    const ca = readFileSync(this.#bench.demo.ca);
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
}

async function heldRequest(connection: Connection): Promise<string> {
  const find = () => connection.lines.findLast((line) => line['event'] === 'held');
  await expect.poll(find).toBeDefined();
  return String(find()?.['request']);
}
