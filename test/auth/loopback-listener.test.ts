import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type Callback,
  type LoopbackListener,
  startLoopbackListener,
} from '../../src/auth/loopback-listener.ts';

const STATE = 'the-state-of-this-login';
let listener: LoopbackListener;
let received: Callback | undefined;
let waiting: Promise<unknown>;
beforeEach(async () => {
  listener = await startLoopbackListener(STATE);
  received = undefined;
  const abort = new AbortController();
  waiting = listener.callback(abort.signal).then(async (callback) => {
    received = callback;
    await callback.show({ type: 'success', name: 'dana <dba>', gateway: 'https://gw' });
  });
});
afterEach(async () => {
  await listener[Symbol.asyncDispose]();
});

interface Reply {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

async function send(
  url: string,
  options: { readonly method?: string; readonly host?: string } = {},
): Promise<Reply> {
  const sent = request(url, {
    method: options.method ?? 'GET',
    agent: false,
    ...(options.host === undefined ? {} : { headers: { host: options.host } }),
  });
  sent.end();
  const [response]: IncomingMessage[] = await once(sent, 'response');
  if (response === undefined) {
    throw new Error('no response');
  }
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}

const good = () => `${listener.redirectUri}?code=abc&state=${STATE}`;

describe('the loopback listener', () => {
  test('is on 127.0.0.1 with a path that nobody can guess, new each time', async () => {
    expect(listener.redirectUri).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{22}$/);
    await using other = await startLoopbackListener(STATE);
    expect(new URL(other.redirectUri).pathname).not.toBe(new URL(listener.redirectUri).pathname);
  });

  test('takes the answer and shows a page without scripts, escaped', async () => {
    const reply = await send(good());
    await waiting;
    expect(reply.status).toBe(200);
    expect(reply.body).toContain('You are logged in');
    expect(reply.body).toContain('dana &lt;dba&gt;');
    expect(reply.body).not.toContain('<script');
    expect(reply.headers['content-security-policy']).toMatch(/^default-src 'none'; style-src 'sha/);
    expect(reply.headers['referrer-policy']).toBe('no-referrer');
    expect(reply.headers['cache-control']).toBe('no-store');
    expect(received?.url.searchParams.get('code')).toBe('abc');
  });

  const refused: readonly [string, () => Promise<Reply>, number][] = [
    ['another state', () => send(`${listener.redirectUri}?code=evil&state=other`), 400],
    ['no state', () => send(`${listener.redirectUri}?code=evil`), 400],
    ['two states', () => send(`${good()}&state=other`), 400],
    ['another path', () => send(good().replace(/\/[\w-]{22}\?/, '/callback?')), 404],
    ['the root path', () => send(good().replace(/\/[\w-]{22}\?/, '/?')), 404],
    ['a path below', () => send(good().replace('?', '/x?')), 404],
    ['the name of another site as Host', () => send(good(), { host: 'evil.example' }), 421],
    ['localhost as Host', () => send(good(), { host: 'localhost' }), 421],
    ['another port as Host', () => send(good(), { host: '127.0.0.1:1' }), 421],
    ['POST', () => send(good(), { method: 'POST' }), 405],
    ['HEAD', () => send(good(), { method: 'HEAD' }), 405],
  ];
  test.each(refused)(
    'turns away %s, says nothing, and goes on waiting',
    async (_t, make, status) => {
      const reply = await make();
      expect(reply.status).toBe(status);
      expect(reply.body).not.toContain('logged in');
      expect(received).toBeUndefined();
      expect((await send(good())).status).toBe(200);
      await waiting;
    },
  );

  test('takes one answer only', async () => {
    await send(good());
    await waiting;
    const second = await send(good().replace('abc', 'evil'));
    expect(second.status).toBe(410);
    expect(received?.url.searchParams.get('code')).toBe('abc');
  });

  test('keeps the browser waiting until the login is decided', async () => {
    await using own = await startLoopbackListener(STATE);
    const page = send(`${own.redirectUri}?code=abc&state=${STATE}`);
    const callback = await own.callback(new AbortController().signal);
    await callback.show({ type: 'failure', reason: 'the ID token is <too> old' });
    const { status, body } = await page;
    expect(status).toBe(400);
    expect(body).toContain('the ID token is &lt;too&gt; old');
  });

  test('does not mind a browser that has gone', async () => {
    await using own = await startLoopbackListener(STATE);
    const sent = request(`${own.redirectUri}?code=abc&state=${STATE}`);
    sent.on('error', () => undefined);
    sent.end();
    const callback = await own.callback(new AbortController().signal);
    sent.destroy();
    await callback.show({ type: 'success', name: 'x', gateway: 'y' });
  });

  test('stops waiting when it is told to, and frees the port', async () => {
    const own = await startLoopbackListener(STATE);
    const abort = new AbortController();
    const result = own.callback(abort.signal);
    const reason = new Error('interrupted');
    abort.abort(reason);
    await expect(result).rejects.toBe(reason);
    await expect(own.callback(abort.signal)).rejects.toBe(reason);
    await own[Symbol.asyncDispose]();
    await own[Symbol.asyncDispose]();
    await expect(send(own.redirectUri)).rejects.toThrow('ECONNREFUSED');
  });
});
