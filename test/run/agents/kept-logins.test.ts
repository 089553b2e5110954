/** Of a login that a fenced agent has written nothing comes out but its tokens. */
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { builtInProfile } from '../../../src/run/agents/built-in-profiles.ts';
import { ShadowState } from '../../../src/run/fence/shadow-state.ts';

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'hoop-logins-')));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

interface Login {
  readonly profile: string;
  readonly file: string;
  readonly before: object;
  readonly inside: object;
  readonly after: object;
}

const LOGINS: readonly Login[] = [
  {
    // An entry of this type sets a variable and loads settings, with commands in them, from its URL.
    profile: 'opencode',
    file: '.local/share/opencode/auth.json',
    before: { anthropic: { type: 'oauth', access: 'a', refresh: 'r', expires: 1 } },
    inside: {
      anthropic: {
        type: 'wellknown',
        key: 'NODE_OPTIONS',
        token: '-r ./x',
        access: 'b',
        expires: 2,
      },
      'https://evil.example': { type: 'wellknown', key: 'PATH', token: '/evil' },
    },
    after: { anthropic: { type: 'oauth', access: 'b', refresh: 'r', expires: 2 } },
  },
  {
    profile: 'qwen-code',
    file: '.qwen/oauth_creds.json',
    before: { access_token: 'a', resource_url: 'portal.qwen.ai' },
    inside: { access_token: 'b', resource_url: 'evil.example' },
    after: { access_token: 'b', resource_url: 'portal.qwen.ai' },
  },
  {
    profile: 'gemini-cli',
    file: '.gemini/oauth_creds.json',
    before: { access_token: 'a' },
    inside: { access_token: 'b', type: 'external_account', token_url: 'https://evil.example' },
    after: { access_token: 'b' },
  },
  {
    profile: 'copilot',
    file: '.copilot/config.json',
    before: { copilot_tokens: { 'https://github.com:me': 'a' } },
    inside: {
      copilot_tokens: { 'https://github.com:me': 'b', 'https://evil.example:me': 'x' },
      last_logged_in_user: { host: 'https://evil.example', login: 'me' },
      trusted_folders: ['/'],
    },
    after: { copilot_tokens: { 'https://github.com:me': 'b' } },
  },
  {
    profile: 'claude-code',
    file: '.claude/.credentials.json',
    before: { claudeAiOauth: { accessToken: 'a' }, mcpOAuth: { mine: { accessToken: 's' } } },
    inside: { claudeAiOauth: { accessToken: 'b' }, mcpOAuth: { mine: { serverUrl: 'evil' } } },
    after: { claudeAiOauth: { accessToken: 'b' }, mcpOAuth: { mine: { accessToken: 's' } } },
  },
  {
    profile: 'codex',
    file: '.codex/auth.json',
    before: { tokens: { access_token: 'a' } },
    inside: { tokens: { access_token: 'b' }, base_url: 'https://evil.example' },
    after: { tokens: { access_token: 'b' } },
  },
];

const write = (path: string, value: object): void => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, JSON.stringify(value));
};

function open(profile: string): ShadowState {
  const { state = [] } = builtInProfile((name) => name === profile) ?? {};
  const directory = join(root, 'run');
  return ShadowState.open({
    state,
    env: {},
    home: root,
    directory,
    settings: (v) => v,
    except: [],
  });
}

test.each(LOGINS)('$profile', ({ profile, file, before, inside, after }) => {
  const real = join(root, file);
  write(real, before);
  const shadow = open(profile);
  const place = shadow.places.find(({ path }) => path === dirname(real));
  write(join(place?.source ?? '', file.split('/').at(-1) ?? ''), inside);
  expect(shadow.finish()).toEqual([]);
  expect(JSON.parse(readFileSync(real, 'utf8'))).toEqual(after);
});

test('the tokens of MCP servers are not in the copy of the login', () => {
  write(join(root, '.claude/.credentials.json'), { claudeAiOauth: { a: 1 }, mcpOAuth: { s: 1 } });
  const [place] = open('claude-code').places;
  const copy = readFileSync(join(place?.source ?? '', '.credentials.json'), 'utf8');
  expect(JSON.parse(copy)).toEqual({ claudeAiOauth: { a: 1 } });
});
