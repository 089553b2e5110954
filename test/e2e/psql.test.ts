import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { childEnvironment } from '../../src/demo/hoop-process.ts';
import { SAMPLE_CUSTOMERS } from '../../src/demo/sample-data.ts';
import { type Bench, openBench } from './demo-bench.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

const FIRST = SAMPLE_CUSTOMERS[0] ?? { name: '', email: '', cardNumber: '', ssn: '', id: 0 };

describe('psql through hoop connect', () => {
  test('masked columns come back masked, others as they are', async () => {
    const run = await bench.psql('engineer', 'SELECT * FROM customers WHERE id = 1');
    expect(run.stdout).toContain(FIRST.name);
    for (const secret of [FIRST.cardNumber, FIRST.ssn, FIRST.email]) {
      expect(run.stdout + run.stderr).not.toContain(secret);
    }
    expect(run.exitCode).toBe(0);
  });

  test('count(*), joins and expressions over unmasked columns pass', async () => {
    const run = await bench.psql(
      'engineer',
      'SELECT count(*) FROM customers',
      'SELECT c.full_name, sum(o.amount) * 2 FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = 1 GROUP BY 1',
    );
    expect(run.stdout).toContain(String(SAMPLE_CUSTOMERS.length));
    expect(run.stdout).toContain(FIRST.name);
    expect(run.stderr).not.toContain('ERROR');
  });

  test('a denied statement names code, rule, file and hint, and the connection goes on', async () => {
    const run = await bench.psql(
      'engineer',
      'TRUNCATE orders',
      'SELECT count(*) AS still FROM orders',
    );
    expect(run.stderr).toMatch(/ERROR: {2}42501: /);
    expect(run.stderr).toContain('policies/engineers.yaml:');
    expect(run.stderr).toContain('HINT:');
    expect(run.stdout).toContain('still');
  });

  test('a denial inside a transaction fails it as PostgreSQL would', async () => {
    const run = await bench.psql(
      'engineer',
      'BEGIN',
      'TRUNCATE orders',
      'SELECT 1',
      'ROLLBACK',
      "SELECT 'after-ok' AS v",
    );
    expect(run.stderr).toContain('42501');
    expect(run.stderr).toContain('25P02');
    expect(run.stdout).toContain('ROLLBACK');
    expect(run.stdout).toContain('after-ok');
  });

  test('a typo looks as it always did', async () => {
    const run = await bench.psql('engineer', 'SELEC 1');
    expect(run.stderr).toContain('ERROR:  42601: syntax error at or near "SELEC"');
    expect(run.stderr).toContain('LINE 1: SELEC 1');
  });

  test("psql's \\d, \\dt, \\dn, \\du and \\df work", async () => {
    const run = await bench.psql('engineer', '\\d customers', '\\dt', '\\dn', '\\du', '\\df');
    expect(run.stderr).not.toContain('ERROR');
    expect(run.stdout).toContain('card_number');
  });

  test('the exit status of the command is returned, and no password is in its arguments', async () => {
    const run = await bench.hoop(
      'engineer',
      'connect',
      'prod-db',
      '--',
      'sh',
      '-c',
      'tr "\\0" " " < /proc/$PPID/cmdline; echo; echo "$DATABASE_URL" | sed -E "s#//[^:]+:([^@]+)@.*#\\1#"; exit 7',
    );
    expect(run.exitCode).toBe(7);
    const [commandLine, password] = run.stdout.trim().split('\n');
    expect(password?.length).toBeGreaterThan(20);
    expect(commandLine).not.toContain(password);
  });

  test.each([
    ['on a port', [], /^PGSERVICEFILE=\S+ psql service=prod-db$/],
    ['on a socket', ['--socket'], /^PGSERVICEFILE=\S+ psql service=prod-db$/],
    ['as a URL', ['--url'], /^postgresql:\/\/\S+$/],
  ])('what is printed %s can be pasted, and Ctrl-C ends the session', async (_how, flags, form) => {
    const child = spawn(process.execPath, ['bin/hoop.js', 'connect', 'prod-db', ...flags], {
      env: childEnvironment({ home: bench.home('engineer') }),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let notes = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      notes += text;
    });
    const [line] = await once(createInterface({ input: child.stdout }), 'line');
    expect(line).toMatch(form);
    const pasted = line.startsWith('PGSERVICEFILE=') ? line : `psql '${line}'`;
    const { stdout } = await promisify(execFile)('sh', ['-c', `${pasted} -X -At -c 'SELECT 42'`]);
    expect(stdout).toBe('42\n');
    const closed = once(child, 'close');
    child.kill('SIGINT');
    expect(await closed).toEqual([130, null]);
    expect(notes).toContain('masked: public.customers.card_number');
    expect(notes).toContain('session ended: closed by you');
    expect(notes).toContain('recording signed by both sides');
  });

  test('a target that the policy does not give is refused with exit status 255 or 4', async () => {
    const wrapped = await bench.hoop('engineer', 'connect', 'other-db', '--', 'true');
    expect(wrapped.exitCode).toBe(255);
    const plain = await bench.hoop('engineer', 'connect', 'other-db', '--json');
    expect(plain.exitCode).toBe(4);
    expect(plain.stderr).toContain('other-db');
  });
});
