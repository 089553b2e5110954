/**
 * `hoop run -- AGENT` with nothing but the name of the agent: a stub of each that reads settings and
 * calls hooks as the agent does. The agents themselves are driven by `npm run conformance:agents`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { childEnvironment, LAUNCHER } from '../../src/demo/hoop-process.ts';
import { runSessions } from '../cli/run-command.ts';
import { type Bench, openBench } from './demo-bench.ts';

const STUB = fileURLToPath(new URL('programs/stub-agent.mjs', import.meta.url));
const AGENTS = ['claude', 'codex', 'gemini', 'qwen', 'opencode', 'copilot', 'aider'];

let bench: Bench;
/** Not below /tmp, which is private inside. */
let root: string;
let home: string;
let project: string;
beforeAll(async () => {
  bench = await openBench();
  root = mkdtempSync(join(homedir(), '.hoop-agents-'));
  mkdirSync(join(root, 'bin'));
  for (const agent of AGENTS) {
    copyFileSync(STUB, join(root, 'bin', agent));
    chmodSync(join(root, 'bin', agent), 0o755);
  }
});
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await bench?.[Symbol.asyncDispose]();
});
beforeEach(() => {
  home = mkdtempSync(join(root, 'home-'));
  project = join(home, 'project');
  mkdirSync(project);
});

interface Given {
  readonly flags?: readonly string[];
  readonly args?: readonly string[];
  readonly variables?: Readonly<Record<string, string>>;
}

async function run(agent: string, { flags = [], args = [], variables = {} }: Given = {}) {
  const names = Object.keys(variables).flatMap((name) => ['--env', name]);
  const words = ['run', '--target', 'prod-db', ...names, ...flags, '--', agent, ...args];
  const child = spawn(process.execPath, [LAUNCHER, ...words], {
    cwd: project,
    env: {
      ...childEnvironment({ home: bench.home('engineer'), variables }),
      HOME: home,
      PATH: `${join(root, 'bin')}:${process.env['PATH']}`,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => {
    stdout += String(text);
  });
  child.stderr.on('data', (text) => {
    stderr += String(text);
  });
  const [exitCode] = await once(child, 'close');
  return { exitCode, stdout, stderr };
}

describe.each(AGENTS)('%s', (agent) => {
  test('is briefed, and its prompts stand with its statements, with no settings of the person', async () => {
    const typed = agent === 'aider' ? { args: ['--message', `first for ${agent}`] } : {};
    const { exitCode, stdout, stderr } = await run(agent, {
      flags: ['--fence'],
      variables: {
        AGENT_TASKS: JSON.stringify([`first for ${agent}`]),
        AGENT_RUNS: 'psql -XAtqc "SELECT 40 + 2"',
      },
      ...typed,
    });
    expect(exitCode, stderr).toBe(0);
    expect(stdout).toContain('context: briefed\n42\n');
    expect(stderr).toContain('set up for ');
    expect(stderr).not.toContain('no prompt was recorded');
    const env = { HOOP_HOME: bench.home('engineer') };
    const why = await runSessions(['why', 'last', '1', '--json'], { env });
    expect(JSON.parse(why.stdout).statements[0].prompts[0].text).toBe(`first for ${agent}`);
  });
});

test('hooks are there without a fence, too, and nothing of them stays', async () => {
  for (const agent of ['claude', 'codex', 'qwen', 'opencode', 'copilot']) {
    const { exitCode, stdout, stderr } = await run(agent, {
      variables: { AGENT_TASKS: '["x"]', AGENT_RUNS: 'psql -XAtqc "SELECT 40 + 2"' },
    });
    expect(exitCode, stderr).toBe(0);
    expect(stdout).toContain('context: briefed\n42\n');
    expect(stderr).not.toContain('no prompt was recorded');
  }
  // .cache has hoop's own compiled code.
  expect(readdirSync(home).filter((name) => name !== '.cache')).toEqual(['project']);
});

test('a run that ends with neither prompt nor reason says how to add one, unless it sent nothing', async () => {
  const ran = await run('psql', { args: ['-XAtqc', 'SELECT 1'] });
  expect(ran.stderr).toContain('to record why, add --reason or --prompt');
  expect(ran.stderr).not.toContain('no prompt was recorded');
  const given = await run('psql', { flags: ['--reason', 'why'], args: ['-XAtqc', 'SELECT 1'] });
  expect(given.stderr).not.toMatch(/no prompt|to record why/);
  expect((await run('true')).stderr).not.toMatch(/no prompt|to record why/);
  const told = await run('psql', { flags: ['--prompt', 'why'], args: ['-XAtqc', 'SELECT 1'] });
  expect(told.stderr).not.toMatch(/no prompt|to record why/);
});

describe('an agent without hooks', () => {
  const sent = { AGENT_TASKS: '["x"]', AGENT_RUNS: 'psql -XAtqc "SELECT 40 + 2"' };
  const untied = 'without a fence Gemini CLI uses only the hooks in its own settings';
  const hoop = `'${process.execPath}' '${LAUNCHER}'`;

  test.each([
    { of: 'none', settings: {}, said: `no prompt was recorded in this run (${untied}` },
    {
      of: 'hoop in its own settings',
      settings: {
        hooks: { BeforeAgent: [{ hooks: [{ command: `${hoop} prompt --hook gemini-cli` }] }] },
      },
      said: undefined,
    },
  ])('Gemini CLI without a fence and with hooks of $of', async ({ settings, said }) => {
    mkdirSync(join(home, '.gemini'));
    writeFileSync(join(home, '.gemini/settings.json'), JSON.stringify(settings));
    const { exitCode, stderr } = await run('gemini', { variables: sent });
    expect(exitCode, stderr).toBe(0);
    if (said === undefined) {
      expect(stderr).not.toMatch(/no prompt was recorded|no hooks/);
    } else {
      expect(stderr).toContain(said);
    }
  });

  test.each([
    { flags: [], args: [], said: 'no prompt was recorded in this run (aider has no hooks' },
    {
      flags: ['--prompt', 'why'],
      args: [],
      said: 'everything that was sent is recorded under the prompt of --prompt (aider has no hooks',
    },
    { flags: [], args: ['--message', 'count'], said: undefined },
  ])('aider with $flags $args says what is not recorded', async ({ flags, args, said }) => {
    const { exitCode, stderr } = await run('aider', { flags, args, variables: sent });
    expect(exitCode, stderr).toBe(0);
    if (said === undefined) {
      expect(stderr).not.toMatch(/no prompt was recorded|is recorded under/);
    } else {
      expect(stderr).toContain(said);
    }
  });
});

describe('what an agent plants for the next time', () => {
  const EVIL = '{"hooks":{"SessionStart":[{"hooks":[{"type":"command","command":"evil"}]}]}}';
  const PLACES: Readonly<Record<string, readonly string[]>> = {
    claude: [
      ...['.claude/settings.json', '.claude/settings.local.json', '.claude/CLAUDE.md'],
      ...[
        '.claude/plugins/x.json',
        '.claude/hooks/x',
        '.claude/commands/x.md',
        '.claude/new-thing',
      ],
      ...['.claude/shell-snapshots/x.sh', '.claude/session-env/x.sh', '.claude.json'],
      ...['.claude/local/claude', '.claude/plugins/package.json', '.claude/agents/x.md'],
    ],
    codex: [
      ...['.codex/config.toml', '.codex/hooks.json', '.codex/rules/x', '.codex/AGENTS.md'],
      ...['.codex/plugins/x', '.codex/skills/x/SKILL.md', '.agents/skills/x/SKILL.md'],
    ],
    gemini: [
      ...['.gemini/settings.json', '.gemini/extensions/x', '.gemini/tmp/bin/rg', '.gemini/.env'],
      ...['.gemini/hooks/x', '.gemini/GEMINI.md', '.gemini/trusted_hooks.json'],
    ],
    qwen: [
      ...['.qwen/settings.json', '.qwen/extensions/x', '.qwen/tmp/x', '.qwen/hooks/x'],
      ...['.qwen/statusline-command.sh', '.qwen/workflows/x', '.qwen/QWEN.md'],
    ],
    opencode: [
      ...['.config/opencode/opencode.json', '.config/opencode/plugin/x.js'],
      ...['.local/share/opencode/bin/x', '.local/share/opencode/snapshot/config'],
      ...['.config/opencode/package.json', '.config/opencode/tool/x.js'],
      ...['.config/opencode/node_modules/x/index.js', '.local/share/opencode/mcp-auth.json'],
    ],
    copilot: [
      ...['.copilot/mcp-config.json', '.copilot/hooks/x.json', '.copilot/pkg/x'],
      ...['.copilot/extensions/x/extension.mjs', '.copilot/settings.json', '.copilot/plugins/x'],
    ],
    aider: ['.aider.conf.yml', '.aider/oauth-keys.env'],
  };
  const SHELL = [
    '.bashrc',
    '.profile',
    '.zshrc',
    '.gitconfig',
    '.config/fish/config.fish',
    '.local/bin/x',
  ];

  test.each(Object.entries(PLACES))('%s: nothing of it is there', async (agent, places) => {
    const all = [...places, ...SHELL];
    // Half of them are there before, and each directory is.
    for (const [index, path] of all.entries()) {
      mkdirSync(dirname(join(home, path)), { recursive: true });
      if (index % 2 === 0) {
        writeFileSync(join(home, path), '{"mine":true}');
      }
    }
    const { stderr, exitCode } = await run(agent, {
      flags: ['--fence'],
      variables: {
        AGENT_PLANTS: JSON.stringify(Object.fromEntries(all.map((path) => [path, EVIL]))),
      },
    });
    expect(exitCode, stderr).toBe(0);
    const found = all.map((path) =>
      existsSync(join(home, path)) ? readFileSync(join(home, path), 'utf8') : undefined,
    );
    expect(found.filter((text) => text?.includes('evil'))).toEqual([]);
    expect(found[0]).toContain('mine');
  });

  test('what it says of its sessions and logins stays', async () => {
    const kept = { '.claude/history.jsonl': '{}', '.claude/projects/session.jsonl': '{"said":1}' };
    const { stderr } = await run('claude', {
      flags: ['--fence'],
      variables: { AGENT_PLANTS: JSON.stringify(kept) },
    });
    expect(
      Object.keys(kept).map((path) => existsSync(join(home, path))),
      stderr,
    ).toEqual([true, true]);
  });

  test('where the person has opened a place, what runs by itself is told, as JSON too', async () => {
    mkdirSync(join(home, '.claude'));
    const flags = ['--fence', '--fence-write', join(home, '.claude'), '--json'];
    const plants = { '.claude/settings.json': EVIL };
    const { stderr } = await run('claude', {
      flags,
      variables: { AGENT_PLANTS: JSON.stringify(plants) },
    });
    const lines = stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toContainEqual({
      v: 1,
      event: 'runs-later-changed',
      paths: [join(home, '.claude/settings.json')],
      changes: [{ path: join(home, '.claude/settings.json'), change: 'new', done: 'undecided' }],
      notLookedAt: [],
      notLookedAtCount: 0,
    });
  });
});

test('a port of the loopback is let through by its number, and others are refused with the reason', async () => {
  const server = createServer((_request, response) => response.end('model')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const flags = ['--fence', '--fence-allow', `127.0.0.1:${port}`];
  const args = ['-sS', '--fail', `http://127.0.0.1:${port}/`];
  expect(await run('curl', { flags, args })).toMatchObject({ exitCode: 0, stdout: 'model' });
  expect((await run('curl', { flags: ['--fence'], args })).exitCode).not.toBe(0);
  server.close();
  const refused = await run('true', { flags: ['--fence', '--fence-allow', '127.0.0.1:80'] });
  expect(refused).toMatchObject({ exitCode: 2 });
  expect(refused.stderr).toContain('It needs a port from 1024 up');
});
