/** `hoop connect` around the session: what is checked before there is one, and `-- COMMAND`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { childEnvironment, LAUNCHER, runHoop } from '../../src/demo/hoop-process.ts';
import { type Bench, openBench } from './demo-bench.ts';

let bench: Bench;
let directory: string;
beforeAll(async () => {
  bench = await openBench();
  directory = mkdtempSync(join(tmpdir(), 'hoop-connect-'));
});
afterAll(async () => {
  rmSync(directory, { recursive: true, force: true });
  await bench[Symbol.asyncDispose]();
});

function ndjson(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
}

describe('what cannot work is said before a session is opened', () => {
  test('a port that is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const before = await bench.sessions('engineer');
    const run = await bench.hoop('engineer', 'connect', 'prod-db', '--port', String(port));
    other.close();
    expect(run.exitCode).toBe(1);
    expect(run.stderr).toContain(`hoop: error: cannot listen on port ${port}`);
    expect(run.stderr).toContain('Another program listens there.');
    expect(await bench.sessions('engineer')).toEqual(before);
  });

  test('a program that is not there, or not executable', async () => {
    const before = await bench.sessions('engineer');
    const missing = await bench.hoop('engineer', 'connect', 'prod-db', '--', 'no-such-program');
    expect(missing.exitCode).toBe(255);
    expect(missing.stderr).toContain('hoop: error: cannot run "no-such-program"');
    expect(missing.stderr).toContain('no such program on PATH');
    const script = join(directory, 'script');
    writeFileSync(script, '#!/bin/sh\n');
    chmodSync(script, 0o644);
    const plain = await bench.hoop('engineer', 'connect', 'prod-db', '--', script);
    expect(plain.exitCode).toBe(255);
    expect(plain.stderr).toContain('is not executable');
    const words = await bench.hoop('engineer', 'connect', 'prod-db', '--', 'psql -c "SELECT 1"');
    expect(words.stderr).toContain('as separate words after `--`');
    expect(await bench.sessions('engineer')).toEqual(before);
  });

  test('a target that is none, with the one that was meant or those that there are', async () => {
    const run = await bench.hoop('engineer', 'connect', 'prod-bd');
    expect(run.exitCode).toBe(4);
    expect(run.stderr).toContain('hoop: error: no access to target "prod-bd"');
    expect(run.stderr).toContain('hoop: hint: Did you mean "prod-db"?');
    const other = await bench.hoop('engineer', 'connect', 'elsewhere');
    expect(other.stderr).not.toContain('Did you mean');
    for (const words of [
      ['connect', 'elsewhere'],
      ['run', '--target', 'elsewhere', '--', 'true'],
      ['ssh', 'elsewhere'],
    ]) {
      const { stderr } = await bench.hoop('engineer', ...words);
      expect(stderr.replaceAll(/\nhoop: {3}/g, ' '), words[0]).toMatch(
        /hint: .*may reach .*prod-db.*\.\n/,
      );
    }
  });

  test('of two that want the same port one gets it, and the other opens no session', async () => {
    const free = createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const address = free.address();
    const port = String(typeof address === 'object' && address !== null ? address.port : 0);
    free.close();
    await once(free, 'close');
    const before = (await bench.sessions('engineer')).length;
    const connect = ['connect', 'prod-db', '--port', port, '--', 'cat'];
    // `cat` stays until its input ends, which is when one of the two has given up.
    const both = [0, 1].map(() => {
      const child = spawn(process.execPath, [LAUNCHER, ...connect], {
        env: childEnvironment({ home: bench.home('engineer') }),
        stdio: ['pipe', 'pipe', 'pipe'],
      });
      let errors = '';
      child.stderr.on('data', (text) => {
        errors += String(text);
      });
      return { child, errors: () => errors, closed: once(child, 'close') };
    });
    await Promise.race(both.map(({ closed }) => closed));
    for (const { child } of both) {
      child.stdin.end();
    }
    const codes = await Promise.all(both.map(({ closed }) => closed.then(([code]) => code)));
    expect(codes.toSorted()).toEqual([0, 255]);
    const loser = both[codes.indexOf(255)];
    expect(loser?.errors()).toContain(`cannot listen on port ${port}`);
    expect(await bench.sessions('engineer')).toHaveLength(before + 1);
  });
});

test('targets and agents are completed from the policy that was verified here, without a network', async () => {
  // A session verifies the policy, and keeps it.
  await bench.hoop('engineer', 'connect', 'prod-db', '--', 'true');
  const offline = { HOOP_CA: '/nonexistent' };
  for (const words of [
    ['connect', 'pr'],
    ['sessions', 'list', '--target', 'pro'],
  ]) {
    const args = ['complete', '--', ...words];
    const run = await runHoop(args, { home: bench.home('engineer'), variables: offline });
    expect(run).toMatchObject({ stdout: 'prod-db\t\n', stderr: '', exitCode: 0 });
  }
  for (const words of [
    ['run', '--agent', ''],
    ['sessions', 'search', '--agent', 'dev'],
  ]) {
    const args = ['complete', '--', ...words];
    const run = await runHoop(args, { home: bench.home('engineer'), variables: offline });
    expect(run).toMatchObject({ stdout: 'devin\t\n', stderr: '', exitCode: 0 });
  }
});

describe('connect NAME --json -- COMMAND', () => {
  test('leaves stdout to the command, and tells the session on stderr without its password', async () => {
    const script = 'echo "$DATABASE_URL"; echo to-stderr >&2; exit 7';
    const run = await bench.hoop(
      'engineer',
      'connect',
      'prod-db',
      '--json',
      '--',
      'sh',
      '-c',
      script,
    );
    expect(run.exitCode).toBe(7);
    const password = new URL(run.stdout.trim()).password;
    expect(password).not.toBe('');
    expect(run.stderr).not.toContain(password);
    expect(run.stderr).toContain('to-stderr\n');
    expect(run.stderr).not.toContain('hoop:');
    const lines = ndjson(run.stderr);
    const events = lines.map(({ event }) => event).filter((event) => event !== 'note');
    expect(events).toEqual(['listening', 'exited', 'closing', 'uploaded']);
    expect(lines.every(({ v }) => v === 1)).toBe(true);
    expect(lines[0]).toMatchObject({ target: 'prod-db', host: '127.0.0.1', database: 'shop' });
    expect(lines[0]).not.toHaveProperty('url');
    expect(lines.find(({ event }) => event === 'exited')).toMatchObject({ status: 7 });
    expect(lines.at(-1)).toMatchObject({ event: 'uploaded', complete: true });
  });

  test('--quiet leaves what the command prints, and of --json the lines that were asked for', async () => {
    const command = ['--', 'sh', '-c', 'echo out; echo err >&2'];
    const loud = await bench.hoop('engineer', 'connect', 'prod-db', '--json', ...command);
    expect(ndjson(loud.stderr).some(({ event }) => event === 'note')).toBe(true);
    const json = await bench.hoop('engineer', '-q', 'connect', 'prod-db', '--json', ...command);
    expect(json.stdout).toBe('out\n');
    expect(ndjson(json.stderr).map(({ event }) => event)).toEqual([
      'listening',
      'exited',
      'closing',
      'uploaded',
    ]);
    const plain = await bench.hoop('engineer', 'connect', 'prod-db', '--quiet', ...command);
    expect(plain).toMatchObject({ exitCode: 0, stdout: 'out\n', stderr: 'err\n' });
  });

  test('psql that names another database or user reads why not, and is asked for no password', async () => {
    const psql = (...words: string[]) =>
      bench.hoop('engineer', 'connect', 'prod-db', '--', 'psql', '-X', '-w', ...words);
    const list = await psql('-l');
    expect(list.stderr).toContain('database "postgres" is not available here');
    expect(list.stderr).toContain('Connect to database "shop"');
    const user = await psql('-U', 'postgres', '-c', 'SELECT 1');
    expect(user.stderr).toContain('password authentication failed for user "postgres"');
    const service = await psql('-c', 'SELECT 7', 'service=prod-db dbname=other');
    expect(service.stderr).toContain('database "other" is not available here');
    for (const { stderr } of [list, user, service]) expect(stderr).not.toContain('no password');
  });

  test('a name with a control character in a denial cannot act on a terminal', async () => {
    const name = '"x\u009b31m\u202e"';
    const admin = new pg.Client({ connectionString: bench.demo.target.adminUrl });
    await admin.connect();
    await admin.query(`CREATE TABLE ${name} (id int)`);
    await admin.end();
    const sql = `DELETE FROM ${name}`;
    const run = await bench.hoop(
      'engineer',
      'connect',
      'prod-db',
      '--json',
      '--',
      'psql',
      '-X',
      '-c',
      sql,
    );
    const raw = run.stderr.split('\n').filter((line) => line.startsWith('{'));
    const denied = raw.find((line) => line.includes('"denied"'));
    expect(denied).toContain('\\u009b31m\\u202e');
    expect(raw.join('')).not.toMatch(/[\u007f-\u009f\u202e]/);
    expect(raw.some((line) => line.includes('"note"') && line.includes('denied'))).toBe(false);
    expect(JSON.parse(denied ?? '{}')).toMatchObject({ event: 'denied', v: 1 });
  });
});
