/** psql's \password on a terminal, against a real server: it sends an ALTER USER with a hash. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const { target, sql } = testTarget('CREATE ROLE app LOGIN');
const real = realEngine(target);
let bench: Bench;
let grant = grantOf({ rules: ['allow *'] });
beforeAll(async () => {
  bench = await startBench({ target: target(), ...real.parts(), grant: () => grant });
});
afterAll(() => bench[Symbol.asyncDispose]());

/** @returns what the terminal shows */
async function typed(command: string): Promise<string> {
  const url = `host=127.0.0.1 port=${bench.port} user=x dbname=postgres`;
  const terminal = spawn('script', ['-qec', `psql -X -d "${url}" -c '${command}'`, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, PGSSLMODE: 'disable' },
  });
  let screen = '';
  const asked = ['Enter new password', 'Enter it again'];
  terminal.stdout.on('data', (text) => {
    screen += String(text);
    // psql throws away what was typed before it asks.
    if (screen.includes(asked[0] ?? '\0')) {
      asked.shift();
      terminal.stdin.write('known\n');
    }
  });
  await once(terminal, 'close');
  expect(asked).toEqual([]);
  return screen.replaceAll('\r', '');
}

async function passwordOf(role: string): Promise<unknown> {
  return (await sql(`SELECT rolpassword FROM pg_authid WHERE rolname = '${role}'`))[0]?.[0];
}

test.each([
  ['\\password', 'hoop logs in with role "postgres"'],
  ['\\password postgres', 'hoop logs in with role "postgres"'],
  ['\\password app', 'role "app" could log in without hoop'],
])(
  '%s is refused, with the rule that would allow it and where else to go',
  async (command, why) => {
    const before = await passwordOf('postgres');
    const screen = await typed(command);
    expect(screen).toContain(`ALTER ROLE is not allowed by policy: ${why}`);
    expect(screen).toContain('Only a rule that names `alter own login` allows it: ');
    expect(screen).toContain('The operators of the gateway change the password of its own login.');
    expect(screen).not.toContain('SCRAM-SHA-256');
    expect(await passwordOf('postgres')).toBe(before);
    expect(await passwordOf('app')).toBe(null);
  },
);

test('\\password of another role runs under a rule that names the verb', async () => {
  grant = grantOf({ rules: ['allow *', 'allow alter own login'] });
  expect(await typed('\\password app')).not.toContain('ERROR');
  expect(await passwordOf('app')).toMatch(/^SCRAM-SHA-256/);
});
