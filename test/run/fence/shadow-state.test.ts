import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { HoopError } from '../../../src/errors.ts';
import { AgentProfile } from '../../../src/run/agents/agent-profile.ts';
import { ShadowState } from '../../../src/run/fence/shadow-state.ts';

let root: string;
let home: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'hoop-shadow-')));
  home = join(root, 'home');
  mkdirSync(home);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const STATE = [
  {
    path: '~/.agent',
    movedBy: 'AGENT_HOME',
    keep: ['sessions/', 'auth.json'],
    keepMembers: { 'config.json': ['account'] },
    settings: { 'settings.json': { hooks: { Start: ['ours'] } } },
  },
  { file: '~/.agent.json', keepMembers: ['account'] },
];

function open(
  env: NodeJS.ProcessEnv = {},
  except: readonly string[] = [],
  of: unknown = STATE,
): ShadowState {
  const { state } = AgentProfile.parse({ version: 1, name: 'a', commands: ['a'], state: of });
  const directory = join(root, 'run');
  return ShadowState.open({ state, env, home, directory, settings: (one) => one, except });
}

const text = (...path: string[]): string => readFileSync(join(home, ...path), 'utf8');

test('what is not there is made, and what is kept is the real one', () => {
  const [directory, file] = open().places;
  expect(directory).toMatchObject({
    path: join(home, '.agent'),
    real: [{ path: join(home, '.agent/sessions'), as: 'writable' }],
  });
  expect(existsSync(join(home, '.agent/sessions'))).toBe(true);
  expect(file?.path).toBe(join(home, '.agent.json'));
});

test('directories that are not kept are read, files are copies, settings of the run are in the copy alone', () => {
  mkdirSync(join(home, '.agent/plugins'), { recursive: true });
  writeFileSync(join(home, '.agent/settings.json'), '{"hooks":{"Start":["mine"]},"theme":"dark"}');
  const [place] = open().places;
  expect(place?.real).toContainEqual({ path: join(home, '.agent/plugins'), as: 'readable' });
  const copy = readFileSync(join(place?.source ?? '', 'settings.json'), 'utf8');
  expect(JSON.parse(copy)).toEqual({ hooks: { Start: ['mine', 'ours'] }, theme: 'dark' });
  expect(text('.agent/settings.json')).not.toContain('ours');
});

test('a variable moves the directory, and what the person has opened is left to them', () => {
  expect(open({ AGENT_HOME: join(root, 'moved') }).places[0]?.path).toBe(join(root, 'moved'));
  rmSync(join(root, 'run'), { recursive: true });
  const places = open({}, [join(home, '.agent')]).places.map(({ path }) => path);
  expect(places).toEqual([join(home, '.agent.json')]);
});

test('of what is written inside nothing is kept but what the profile names', () => {
  mkdirSync(join(home, '.agent'));
  writeFileSync(join(home, '.agent/settings.json'), '{}');
  writeFileSync(join(home, '.agent.json'), '{"mcpServers":{"mine":{}},"account":"old"}');
  const shadow = open();
  const [directory, file] = shadow.places;
  const inside = (name: string): string => join(directory?.source ?? '', name);
  writeFileSync(inside('auth.json'), '{"token":"new"}');
  writeFileSync(inside('settings.json'), '{"hooks":{"Start":["evil"]}}');
  writeFileSync(inside('hooks.json'), '{"evil":true}');
  mkdirSync(inside('hooks'));
  writeFileSync(inside('config.json'), '{"account":"me","mcpServers":{"evil":{}}}');
  writeFileSync(
    file?.source ?? '',
    '{"mcpServers":{"evil":{}},"account":"new","apiKeyHelper":"evil"}',
  );
  expect(shadow.finish()).toEqual([]);
  expect(JSON.parse(text('.agent/auth.json'))).toEqual({ token: 'new' });
  expect(text('.agent/settings.json')).toBe('{}');
  expect(JSON.parse(text('.agent/config.json'))).toEqual({ account: 'me' });
  expect(JSON.parse(text('.agent.json'))).toEqual({ mcpServers: { mine: {} }, account: 'new' });
  expect(['hooks', 'hooks.json'].map((name) => existsSync(join(home, '.agent', name)))).toEqual([
    false,
    false,
  ]);
});

test('a link, a pipe or nonsense in the place of a kept file brings nothing out', () => {
  mkdirSync(join(home, '.ssh'));
  writeFileSync(join(home, '.ssh/id'), '{"account":"secret"}');
  const shadow = open();
  const [directory, file] = shadow.places;
  symlinkSync(join(home, '.ssh/id'), join(directory?.source ?? '', 'auth.json'));
  symlinkSync(join(home, '.ssh/id'), join(directory?.source ?? '', 'config.json'));
  writeFileSync(file?.source ?? '', 'not JSON');
  expect(shadow.finish()).toEqual([`${join(home, '.agent.json')}: it is not a JSON object`]);
  expect(existsSync(join(home, '.agent/auth.json'))).toBe(false);
  expect(existsSync(join(home, '.agent/config.json'))).toBe(false);
  expect(text('.agent.json')).toBe('{}\n');
});

test('what was changed outside meanwhile stays as it is there', () => {
  mkdirSync(join(home, '.agent'));
  writeFileSync(join(home, '.agent/auth.json'), 'old');
  const shadow = open();
  writeFileSync(join(shadow.places[0]?.source ?? '', 'auth.json'), 'inside');
  writeFileSync(join(home, '.agent/auth.json'), 'outside');
  expect(shadow.finish()).toEqual([expect.stringContaining('changed outside meanwhile')]);
  expect(text('.agent/auth.json')).toBe('outside');
});

const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;

test('what cannot be taken over of one file loses no other', () => {
  const shadow = open();
  const [directory, file] = shadow.places;
  const inside = (name: string): string => join(directory?.source ?? '', name);
  writeFileSync(inside('config.json'), `{"account":${nested(300_000)}}`);
  writeFileSync(file?.source ?? '', `{"account":"${'x'.repeat(2_000_000)}"}`);
  writeFileSync(inside('auth.json'), '{"token":"new"}');
  expect(shadow.finish()).toEqual([
    expect.stringContaining('config.json: '),
    expect.stringContaining('.agent.json: the kept part is too large'),
  ]);
  expect(JSON.parse(text('.agent/auth.json'))).toEqual({ token: 'new' });
  expect(text('.agent.json')).toBe('{}\n');
});

test('a kept file that has grown too large is told, inside and outside', () => {
  mkdirSync(join(home, '.agent'));
  const long = 'x'.repeat(17 * 1024 * 1024);
  writeFileSync(join(home, '.agent/history'), long);
  const shadow = open({}, [], [{ path: '~/.agent', keep: ['history', 'auth.json'] }]);
  const inside = (name: string): string => join(shadow.places[0]?.source ?? '', name);
  writeFileSync(inside('history'), 'short');
  writeFileSync(inside('auth.json'), long);
  expect(shadow.finish()).toHaveLength(2);
  expect(text('.agent/history')).toHaveLength(long.length);
  expect(existsSync(join(home, '.agent/auth.json'))).toBe(false);
});

const MEMBERS = [
  { path: '~/.agent', keepMembers: { 'auth.json': ['*.access', '*.expires', 'account'] } },
];

test('a path into members renews what is there and makes no entry', () => {
  mkdirSync(join(home, '.agent'));
  const before = '{"mine":{"type":"oauth","access":"old"},"key":{"type":"api","key":"k"}}';
  writeFileSync(join(home, '.agent/auth.json'), before);
  const shadow = open({}, [], MEMBERS);
  const written = `{
    "mine":{"type":"wellknown","access":"new","expires":7,"url":"https://evil.example"},
    "https://evil.example":{"type":"wellknown","access":"x","key":"NODE_OPTIONS","token":"-r ./x"},
    "key":"evil","__proto__":{"access":"x"},"constructor":{"access":"x"}}`;
  writeFileSync(join(shadow.places[0]?.source ?? '', 'auth.json'), written);
  expect(shadow.finish()).toEqual([]);
  expect(JSON.parse(text('.agent/auth.json'))).toEqual({
    mine: { type: 'oauth', access: 'new', expires: 7 },
    key: { type: 'api', key: 'k' },
  });
});

test('a member that was renewed outside meanwhile is not put back', () => {
  mkdirSync(join(home, '.agent'));
  writeFileSync(join(home, '.agent/auth.json'), '{"account":"old"}');
  const shadow = open({}, [], MEMBERS);
  writeFileSync(join(shadow.places[0]?.source ?? '', 'auth.json'), '{"account":"old","other":1}');
  writeFileSync(join(home, '.agent/auth.json'), '{"account":"renewed"}');
  expect(shadow.finish()).toEqual([]);
  expect(JSON.parse(text('.agent/auth.json'))).toEqual({ account: 'renewed' });
});

test('keys of others are not in the copy, also over links', () => {
  mkdirSync(join(home, '.agent/tokens'), { recursive: true });
  mkdirSync(join(home, 'dotfiles'));
  writeFileSync(join(home, '.agent/mcp.json'), '{"secret":1}');
  writeFileSync(join(home, 'dotfiles/auth.json'), '{"mine":{"a":1},"mcp":{"secret":1}}');
  symlinkSync(join(home, 'dotfiles/auth.json'), join(home, '.agent/auth.json'));
  const shadow = open(
    {},
    [],
    [
      {
        path: '~/.agent',
        hide: ['mcp.json', 'tokens/'],
        showMembers: { 'auth.json': ['mine'] },
        keepMembers: { 'auth.json': ['mine'] },
      },
    ],
  );
  const [place] = shadow.places;
  const inside = (name: string): string => join(place?.source ?? '', name);
  expect([existsSync(inside('mcp.json')), existsSync(inside('tokens'))]).toEqual([false, false]);
  expect(place?.real).toEqual([]);
  expect(JSON.parse(readFileSync(inside('auth.json'), 'utf8'))).toEqual({ mine: { a: 1 } });
  writeFileSync(inside('auth.json'), '{"mine":{"a":2},"mcp":{"secret":2}}');
  expect(shadow.finish()).toEqual([]);
  expect(JSON.parse(text('dotfiles/auth.json'))).toEqual({ mine: { a: 2 }, mcp: { secret: 1 } });
});

test("a directory that holds home is nobody's state", () => {
  const codeOf = (action: () => unknown): unknown => {
    try {
      action();
      return undefined;
    } catch (error) {
      return (error as HoopError).code;
    }
  };
  symlinkSync(home, join(root, 'link'));
  for (const path of [home, root, join(root, 'link')]) {
    expect(codeOf(() => open({ AGENT_HOME: path }))).toBe('HOOP_FENCE');
  }
  expect(codeOf(() => open({}, [], [{ path: '~/.' }]))).toBe('HOOP_FENCE');
  expect(codeOf(() => open({ AGENT_HOME: join(root, 'beside') }))).toBeUndefined();
});
