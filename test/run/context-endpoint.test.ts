/** The endpoint of a run, asked by programs that belong to it and by others. */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { type RequestOptions, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { contextStatus, postPrompt } from '../../src/run/context-client.ts';
import { ContextEndpoint } from '../../src/run/context-endpoint.ts';
import { RunPrompts } from '../../src/run/run-prompts.ts';

const signal = new AbortController().signal;
let opened: AsyncDisposableStack;
beforeEach(() => {
  opened = new AsyncDisposableStack();
});
afterEach(() => opened.disposeAsync());

/** A run in which no session is open yet. */
async function openRun(listen: 'unix' | 'loopback' = 'unix') {
  const directory = await mkdtemp(join(tmpdir(), 'hoop-context-'));
  opened.defer(() => rm(directory, { recursive: true, force: true }));
  const run = { id: 'run-1', agent: 'devin', directory, targets: ['prod-db'] };
  const none = { sessions: async () => [], beforeEachSession: () => undefined };
  const prompts = new RunPrompts(none, undefined);
  const endpoint = opened.use(await ContextEndpoint.open({ run, prompts, listen }));
  const env: NodeJS.ProcessEnv = { ...endpoint.environment };
  return { directory, prompts, env };
}

interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

/** HTTP as any program can send it. */
async function ask(
  env: NodeJS.ProcessEnv,
  asked: Asked,
): Promise<{ status: number; body: string }> {
  const { method = 'POST', path = '/v1/prompt', headers = {}, body = '' } = asked;
  const url = env['HOOP_CONTEXT_URL'] ?? '';
  const place: RequestOptions = url.startsWith('unix:')
    ? { socketPath: url.slice(5) }
    : { host: '127.0.0.1', port: new URL(url).port };
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  const sent = request(
    { ...place, method, path, headers: { host: 'hoop', ...headers } },
    (reply) => {
      text(reply).then((read) => resolve({ status: reply.statusCode ?? 0, body: read }), reject);
    },
  );
  sent.on('error', reject);
  sent.end(body);
  return await promise;
}

function authorized(env: NodeJS.ProcessEnv, more: Readonly<Record<string, string>> = {}) {
  return { authorization: `Bearer ${env['HOOP_CONTEXT_TOKEN']}`, ...more };
}

describe.each(['unix', 'loopback'] as const)('over %s', (listen) => {
  test('a prompt is set, and read back', async () => {
    const { env, prompts } = await openRun(listen);
    expect(await contextStatus(env, signal)).toEqual({
      v: 1,
      run: 'run-1',
      agent: 'devin',
      targets: ['prod-db'],
    });
    const reply = await postPrompt(env, { text: 'find the order', source: 'command' }, signal);
    expect(reply).toMatchObject({ bytes: 14, sessions: 0 });
    expect(prompts.current).toMatchObject({ id: reply.id, text: 'find the order' });
    expect((await contextStatus(env, signal)).prompt).toMatchObject({ source: 'command' });
  });

  test('the token of another run opens nothing', async () => {
    const { env, prompts } = await openRun(listen);
    const other = await openRun(listen);
    const stolen = { ...env, HOOP_CONTEXT_TOKEN: other.env['HOOP_CONTEXT_TOKEN'] };
    await expect(
      postPrompt(stolen, { text: 'x', source: 'command' }, signal),
    ).rejects.toMatchObject({ code: 'HOOP_CONTEXT_REFUSED' });
    expect(prompts.current).toBeUndefined();
    expect(other.prompts.current).toBeUndefined();
  });
});

test('an agent that takes the token from the environment of its children does not keep them from it', async () => {
  const { env, directory, prompts } = await openRun();
  const poorer = { HOOP_CONTEXT_URL: env['HOOP_CONTEXT_URL'], HOOP_RUN_DIR: directory };
  await postPrompt(poorer, { text: 'x', source: 'command' }, signal);
  expect(prompts.current).toMatchObject({ text: 'x' });
});

test('text is taken as it is, from any HTTP client', async () => {
  const { env, prompts } = await openRun();
  const body = Buffer.from('fix \u001b[2J \u202e \u0000 ', 'utf8');
  const invalid = Buffer.concat([body, Buffer.from([0xff, 0xfe])]);
  const reply = await ask(env, { headers: authorized(env), body: invalid });
  expect(reply.status).toBe(200);
  expect(prompts.current).toMatchObject({
    text: 'fix \u001b[2J \u202e \u0000 \ufffd\ufffd',
    source: 'endpoint',
  });
});

test.each(['hook', 'hook:claude-code', 'flag', 'file', 'limit', 'limit:x'])(
  'a program cannot call its prompt "%s", which is what hoop says',
  async (source) => {
    const { env, prompts } = await openRun();
    const headers = authorized(env, { 'content-type': 'application/json' });
    const reply = await ask(env, { headers, body: JSON.stringify({ text: 'x', source }) });
    expect(reply.status).toBe(400);
    expect(prompts.current).toBeUndefined();
  },
);

test('a source of its own is taken, and so is the hook of an agent', async () => {
  const { env, prompts } = await openRun();
  for (const source of ['slack', 'hooks', 'ci:flag', 'file-watcher']) {
    await postPrompt(env, { text: 'x', source }, signal);
    expect(prompts.current?.source).toBe(source);
  }
  await postPrompt(env, { text: 'x', hook: 'codex' }, signal);
  expect(prompts.current?.source).toBe('hook:codex');
  const wrong = postPrompt(env, { text: 'x', hook: 'codex:evil' }, signal);
  await expect(wrong).rejects.toMatchObject({ code: 'HOOP_USAGE' });
});

test('a prompt of 10 MB is taken, one that is longer than 16 MiB is not', async () => {
  const { env, prompts } = await openRun();
  const long = await ask(env, { headers: authorized(env), body: 'x'.repeat(10_000_000) });
  expect(JSON.parse(long.body)).toMatchObject({ bytes: 10_000_000 });
  const { current } = prompts;
  const longer = 'x'.repeat((16 << 20) + 1);
  expect((await ask(env, { headers: authorized(env), body: longer })).status).toBe(413);
  expect(prompts.current).toBe(current);
});

test.each([
  ['no token', {}, 401],
  ['an empty token', { authorization: 'Bearer ' }, 401],
  ['another scheme', { authorization: 'Basic aG9vcDpob29w' }, 401],
  ['a token that is nearly it', { authorization: `Bearer ${'A'.repeat(43)}` }, 401],
])('a request with %s is refused', async (_what, headers, status) => {
  const { env, prompts } = await openRun();
  const reply = await ask(env, { headers, body: 'x' });
  expect(reply.status).toBe(status);
  expect(JSON.parse(reply.body).error.code).toBe('HOOP_CONTEXT_REFUSED');
  expect(reply.body).not.toContain(env['HOOP_CONTEXT_TOKEN']);
  expect(prompts.current).toBeUndefined();
});

test('a page in a browser is refused, even if it had the token', async () => {
  const { env } = await openRun('loopback');
  const port = new URL(env['HOOP_CONTEXT_URL'] ?? '').port;
  for (const headers of [
    { host: `evil.example:${port}` },
    { host: `localhost:${port}` },
    { host: `127.0.0.1:${port}`, origin: 'https://evil.example' },
  ]) {
    expect((await ask(env, { headers: authorized(env, headers) })).status).toBe(401);
  }
});

test.each([
  ['GET', '/v1/prompt'],
  ['POST', '/v1/status'],
  ['POST', '/v1/prompt?x=1'],
  ['DELETE', '/'],
])('there is no %s %s', async (method, path) => {
  const { env } = await openRun();
  expect((await ask(env, { method, path, headers: authorized(env) })).status).toBe(400);
});

test.each([
  'no JSON',
  '[]',
  '{"text":7}',
  '{"text":"x","source":"the gateway"}',
  '{"text":"x","parent":"a b"}',
  '{"text":"x","id":"p1"}',
])('JSON that is no prompt is refused: %s', async (body) => {
  const { env, prompts } = await openRun();
  const headers = authorized(env, { 'content-type': 'application/json' });
  expect((await ask(env, { headers, body })).status).toBe(400);
  expect(prompts.current).toBeUndefined();
});

test('only its owner can reach the socket, and it is gone with the run', async () => {
  const { env } = await openRun();
  const path = (env['HOOP_CONTEXT_URL'] ?? '').slice(5);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  await opened.disposeAsync();
  await expect(postPrompt(env, { text: 'x', source: 'command' }, signal)).rejects.toMatchObject({
    code: 'HOOP_RUN_GONE',
  });
  opened = new AsyncDisposableStack();
});

test.each(['http://example.com', 'http://127.0.0.1:1@evil.example', 'unix:relative', 'file:///x'])(
  'an address that no run gave is not asked: %s',
  async (url) => {
    const env = { HOOP_CONTEXT_URL: url, HOOP_CONTEXT_TOKEN: 'secret' };
    await expect(contextStatus(env, signal)).rejects.toMatchObject({ code: 'HOOP_USAGE' });
  },
);
