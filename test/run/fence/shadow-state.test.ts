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

function open(env: NodeJS.ProcessEnv = {}, except: readonly string[] = []): ShadowState {
  const { state } = AgentProfile.parse({ version: 1, name: 'a', commands: ['a'], state: STATE });
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
  expect(shadow.finish()).toEqual([`${join(home, '.agent.json')}: it is no JSON object`]);
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
