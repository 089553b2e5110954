import { expect, test } from 'vitest';
import { BUILT_IN_NAMES, builtInProfile } from '../../../src/run/agents/built-in-profiles.ts';
import { isAgentKey, isLetIn } from '../../../src/run/fence/let-in-variables.ts';

test.each([
  'PATH',
  'HOME',
  'TERM',
  'LANG',
  'LC_ALL',
  'VIRTUAL_ENV',
  'PYTHONPATH',
  'ANTHROPIC_MODEL',
])('%s goes into a fence', (name) => {
  expect(isLetIn(name)).toBe(true);
});

test('what moves the state of an agent goes in, or it would look for it elsewhere', () => {
  const moved = BUILT_IN_NAMES.flatMap((name) => {
    const profile = builtInProfile((one) => one === name);
    return (profile?.state ?? []).flatMap((entry) => ('movedBy' in entry ? [entry.movedBy] : []));
  }).filter((name) => name !== undefined);
  expect(moved.length).toBeGreaterThan(3);
  expect(moved.filter((name) => !isLetIn(name))).toEqual([]);
});

test.each([
  'STRIPE_API_KEY',
  'SLACK_BOT_TOKEN',
  'HF_TOKEN',
  'DATADOG_API_KEY',
  'ANTHROPIC_API_KEY',
  'OPENAI_API_KEY',
  'GITHUB_TOKEN',
  'HTTP_PROXY',
  'LD_PRELOAD',
  'BASH_ENV',
  'BASH_FUNC_ls%%',
  'NAME_OF_NOBODY',
  'path',
])('%s does not', (name) => {
  expect(isLetIn(name)).toBe(false);
});

test.each([
  ['MAKEFLAGS', 'k -j8 -- STRIPE_API_KEY=sk_live_1'],
  ['JAVA_TOOL_OPTIONS', '-Dhttp.proxyPassword=x'],
  ['JAVA_TOOL_OPTIONS', '-Xmx1g -Djavax.net.ssl.keyStorePassword=x'],
  ['GOFLAGS', '-ldflags=-X=main.token=x'],
])('%s goes in, but not with a secret among its options: %s', (name, value) => {
  expect(isLetIn(name, value)).toBe(false);
});

test.each([
  ['MAKEFLAGS', '-j8 --no-print-directory'],
  ['JAVA_TOOL_OPTIONS', '-Xmx1g -Djavax.net.ssl.trustStorePassword=changeit'],
  ['NODE_OPTIONS', '--max-old-space-size=4096 --import=./token.mjs'],
])('%s goes in as usual: %s', (name, value) => {
  expect(isLetIn(name, value)).toBe(true);
});

test('keys of agents are known, because a run without one has to say so', () => {
  expect(['ANTHROPIC_API_KEY', 'CLAUDE_CODE_OAUTH_TOKEN'].map(isAgentKey)).toEqual([true, true]);
  expect(['STRIPE_API_KEY', 'ANTHROPIC_MODEL'].map(isAgentKey)).toEqual([false, false]);
});
