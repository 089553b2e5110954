import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AgentProfile } from '../../../src/run/agents/agent-profile.ts';
import { agentNeeds, promptOf, setUpAgent } from '../../../src/run/agents/agent-setup.ts';
import { BUILT_IN_NAMES } from '../../../src/run/agents/built-in-profiles.ts';
import { findProfile } from '../../../src/run/agents/find-profile.ts';
import { recordKnown } from '../../../src/run/fence/known-places.ts';

const MINE = `version: 1
name: mine
commands: [mine]
hosts: [models.example.com]
`;

let root: string;
let cwd: string;
let home: { config: string; state: string };
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'hoop-profile-')));
  cwd = join(root, 'project');
  home = { config: join(root, 'config'), state: join(root, 'state') };
  for (const path of [cwd, join(home.config, 'agents'), home.state]) {
    mkdirSync(path, { recursive: true });
  }
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const find = (profile: string | false | undefined, ...command: string[]) =>
  findProfile({ profile, command, cwd, home });

test.each([
  ['claude', 'claude-code'],
  ['/usr/local/bin/claude', 'claude-code'],
  ['codex', 'codex'],
  ['gemini', 'gemini-cli'],
  ['qwen', 'qwen-code'],
  ['opencode', 'opencode'],
  ['copilot', 'copilot'],
  ['aider', 'aider'],
])('%s is recognised as %s', async (program, name) => {
  expect((await find(undefined, program))?.name).toBe(name);
});

test('other programs have none, and --no-profile takes it from those that have one', async () => {
  expect(await find(undefined, 'psql')).toBeUndefined();
  expect(await find(false, 'claude')).toBeUndefined();
  expect((await find('codex', 'wrapper'))?.name).toBe('codex');
  await expect(find('nobody', 'x')).rejects.toMatchObject({ code: 'HOOP_USAGE' });
});

test('a file of the person goes before what hoop brings', async () => {
  const file = join(home.config, 'agents/mine.yaml');
  writeFileSync(file, MINE.replace('[mine]', '[claude]'));
  expect((await find(undefined, 'claude'))?.name).toBe('mine');
  expect((await find('mine', 'x'))?.hosts).toEqual(['models.example.com']);
});

test('a profile in the working directory, where fenced commands could write, or over a link is not trusted', async () => {
  const planted = join(cwd, 'agent.yaml');
  writeFileSync(planted, MINE);
  const elsewhere = join(root, 'elsewhere');
  mkdirSync(elsewhere);
  writeFileSync(join(elsewhere, 'agent.yaml'), MINE);
  symlinkSync(planted, join(home.config, 'agents/link.yaml'));
  const link = join(elsewhere, 'link.yaml');
  symlinkSync(planted, link);
  for (const path of ['./agent.yaml', planted, link]) {
    await expect(find(path, 'mine')).rejects.toMatchObject({
      code: 'HOOP_USAGE',
      message: expect.stringContaining('not trusted'),
    });
  }
  // In the person's own directory, but made of what is in the working directory.
  await expect(find(undefined, 'claude')).rejects.toThrow('not trusted');
  rmSync(join(home.config, 'agents/link.yaml'));
  expect((await find(join(elsewhere, 'agent.yaml'), 'x'))?.name).toBe('mine');
  recordKnown(home, { places: [], links: [] }, { places: [{ path: elsewhere }], links: [] });
  await expect(find(join(elsewhere, 'agent.yaml'), 'x')).rejects.toThrow('not trusted');
});

test.each([
  ['an unknown key', `${MINE}shell: true\n`],
  ['a file outside of its directory', `${MINE}files: { '../../.bashrc': x }\n`],
  ['state outside of the home directory', `${MINE}state: [{ path: /etc }]\n`],
  ['a part of the state that is a path', `${MINE}state: [{ path: ~/.m, keep: ['a/b'] }]\n`],
  ['a part of the state that is above it', `${MINE}state: [{ path: ~/.m, keep: ['../'] }]\n`],
])('%s is refused', async (_what, text) => {
  writeFileSync(join(home.config, 'agents/mine.yaml'), text);
  await expect(find('mine', 'x')).rejects.toMatchObject({ code: 'HOOP_USAGE' });
});

const profile = (more: object): AgentProfile =>
  AgentProfile.parse({ version: 1, name: 'mine', commands: ['mine'], ...more });

test('the host of a key and of another model server is let through, when they are set', () => {
  const mine = profile({
    hosts: ['a.example.com'],
    keys: { B_KEY: ['b.example.com'], C_KEY: ['c.example.com'] },
    baseUrls: ['MINE_URL'],
  });
  const needs = (env: NodeJS.ProcessEnv) => agentNeeds({ profile: mine, env, isFenced: true });
  expect(needs({ B_KEY: 'x' }).hosts).toEqual(['a.example.com', 'b.example.com']);
  expect(needs({ MINE_URL: 'http://127.0.0.1:11434/v1' }).hosts).toEqual([
    'a.example.com',
    '127.0.0.1:11434',
  ]);
  expect(needs({ MINE_URL: 'nonsense' }).hosts).toEqual(['a.example.com']);
});

test('arguments, files and variables are filled in; what the person has set stays; a wrapper gets no arguments', () => {
  const mine = profile({
    arguments: ['--hook', '{hook}', '--read', '{briefing}'],
    variables: { MINE: '{files}/x', SET: 'by hoop' },
    files: { 'a/b.json': { command: '{hook}' }, 'c.mjs': 'run({hook})' },
    fenced: { arguments: ['--fenced'] },
  });
  const place = { directory: cwd, hoop: ['/opt/no de', '/opt/hoop.js'], briefing: '/b.md' };
  const options = { profile: mine, env: { SET: 'by me' }, isFenced: true };
  const made = setUpAgent(options, ['/bin/mine', 'do'], place);
  const hook = "'/opt/no de' /opt/hoop.js prompt --hook claude-code";
  expect(made.command).toEqual(['/bin/mine', '--hook', hook, '--read', '/b.md', '--fenced', 'do']);
  expect(made.environment).toEqual({ MINE: `${cwd}/agent/x` });
  expect(made.taken).toEqual(['SET']);
  expect(setUpAgent(options, ['npx', 'mine'], place).command).toEqual(['npx', 'mine']);
});

test('the prompt of an agent without hooks is taken from its command line', () => {
  const mine = profile({ promptOptions: ['-m', '--message'] });
  expect(promptOf(mine, ['mine', '-m', 'do it'])).toBe('do it');
  expect(promptOf(mine, ['mine', '--message=do it'])).toBe('do it');
  expect(promptOf(mine, ['mine', 'do it'])).toBeUndefined();
});

test('every profile that hoop brings is of the documented form', () => {
  expect(BUILT_IN_NAMES).toHaveLength(7);
});
