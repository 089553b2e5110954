/**
 * What a job of a CI system meets: no terminal, a standard input that stays open and says nothing, and
 * a log that escape codes would spoil. Every command ends by itself, with a status that says how.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { childEnvironment, LAUNCHER } from '../../src/demo/hoop-process.ts';
import { buildProgram } from '../../src/process/program.ts';
import { type TemporaryHome, temporaryHome } from '../auth/command-run.ts';
import { silentIo } from './silent-io.ts';

/** These stay up by what they are for. */
const STAY = ['demo', 'gateway start', 'mcp'];
/** What a command that cannot do its work without a login, a target or a file ends with. */
const FAILURES = [1, 2, 3, 4, 5, 255];
/** These need none of it. */
const WORK = /(^|\s)help$|^(completion|config|policy schema|sessions trust)/;

let home: TemporaryHome;
beforeAll(() => {
  home = temporaryHome();
});
afterAll(() => {
  home[Symbol.dispose]();
});

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function hoop(args: readonly string[], variables: Record<string, string>): Promise<Ended> {
  const child = spawn(process.execPath, [LAUNCHER, ...args], {
    env: childEnvironment({ home: home.path, variables: { CI: 'true', ...variables } }),
    // Open until the test has seen the end: what waits for an answer waits for ever.
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const [stdout, stderr] = [text(child.stdout), text(child.stderr)];
  const [status] = await once(child, 'exit');
  child.stdin.destroy();
  return { status, stdout: await stdout, stderr: await stderr };
}

const io = silentIo();

/** With something for each argument and option that it cannot do without. */
function calls(command: Command, path: readonly string[]): string[][] {
  const below = command.createHelp().visibleCommands(command);
  const own = command
    .createHelp()
    .visibleOptions(command)
    .filter(({ mandatory }) => mandatory)
    .flatMap(({ long }) => (long === null || long === undefined ? [] : [long, 'x']));
  const values = command.registeredArguments
    .filter(({ required }) => required)
    .map(({ argChoices }) => argChoices?.[0] ?? 'x');
  const call = [...path, ...own, ...(values.length > 0 ? values : [])];
  return below.length > 0
    ? below.flatMap((child) => calls(child, [...path, child.name()]))
    : [call];
}

const all = calls(buildProgram(io, false), []).filter(
  (call) => !STAY.some((name) => call.join(' ').startsWith(name)),
);

describe('without a terminal, and without a login', () => {
  test('there are more than thirty calls to look at', () => {
    expect(all.length).toBeGreaterThan(30);
  });

  test.each(all.map((call) => [call.join(' '), call] as const))(
    'hoop %s asks nothing, ends with a status, and writes no escape codes',
    async (name, call) => {
      const { status, stdout, stderr } = await hoop(call, {});
      expect(`${stdout}${stderr}`).not.toContain('\x1b');
      if (WORK.test(name)) {
        expect(FAILURES.concat(0)).toContain(status);
      } else {
        expect(FAILURES).toContain(status);
        expect(`${stdout}${stderr}`).not.toBe('');
      }
    },
  );

  test('help for what is no command says so, with the nearest one', async () => {
    const { status, stdout, stderr } = await hoop(['help', 'conect'], {});
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toContain(
      "hoop: error: unknown command 'conect'\nhoop: hint: Did you mean connect?\n",
    );
    expect(stderr).not.toContain('Usage:');
    expect(await hoop(['help', 'connect'], {})).toMatchObject({ status: 0, stderr: '' });
  });

  test.each([
    ['run -- true', 255],
    ['run --print-env -- true', 3],
    ['run --briefing-only', 3],
    ['run', 2],
    ['connect prod-db -- true', 255],
    ['connect prod-db', 3],
    ['run --prompt-file /nowhere/prompt -- true', 2],
    ['run --prompt a --prompt-file b -- true', 2],
    ['run --fence-allow example.com -- true', 2],
    ['connect prod-db --socket --port 1 -- true', 2],
    ['connect prod-db --prompt a --prompt-file b -- true', 2],
    ['run -- no-such-program', 255],
    // As of ssh(1).
    ['ssh --prompt a --prompt-file b web-1', 255],
    ['ssh -p 22 web-1', 255],
    ['ssh', 255],
    ['--quiet ssh', 255],
    ['ssh --help', 0],
  ])('hoop %s ends with %d: a command’s own status is for where one is run', async (call, code) => {
    const gateway = { HOOP_GATEWAY: 'https://127.0.0.1:9' };
    const { status, stderr } = await hoop(call.split(' '), gateway);
    expect(stderr).not.toContain('ENOENT');
    expect(status).toBe(code);
  });

  test('hoop login in a job says that jobs need none, and does not open a browser', async () => {
    const { status, stderr } = await hoop(['login', '--gateway', 'https://gw.invalid'], {});
    expect(status).toBe(1);
    expect(stderr).toContain('nobody is here to log in');
    expect(stderr).toContain('docs/ci.md');
  });

  test('FORCE_COLOR turns colours on in a log, NO_COLOR and --no-color turn them off', async () => {
    const forced = { FORCE_COLOR: '1' };
    expect((await hoop(['whoami'], forced)).stderr).toContain('\x1b[');
    expect((await hoop(['whoami'], { ...forced, NO_COLOR: '1' })).stderr).not.toContain('\x1b');
    expect((await hoop(['whoami', '--no-color'], forced)).stderr).not.toContain('\x1b');
  });
});
