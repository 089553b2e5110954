/** One renewal that several requests of a process wait for; what processes share is in refresh-race. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { TokenReply } from '../../src/api/login.ts';
import { FileTokenStore } from '../../src/auth/file-token-store.ts';
import { StoredTokens } from '../../src/auth/stored-tokens.ts';
import { exportDpopKey, generateDpopKey } from '../../src/client/dpop-key.ts';
import { HoopError } from '../../src/errors.ts';
import { locateHome } from '../../src/home.ts';
import { waitFor } from '../wait-for.ts';

const GATEWAY = 'https://gateway.example';
const NOW = 1_000_000;
const never = new AbortController().signal;
const gaveUp = new HoopError('HOOP_INTERRUPTED', 'gave up');

let directory: string;
/** What was asked of the gateway; the test answers. */
let asked: { signal: AbortSignal; answer: PromiseWithResolvers<TokenReply> }[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-stored-tokens-'));
  asked = [];
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** @param remainingMs of the stored token `before` */
async function stored(remainingMs: number): Promise<StoredTokens> {
  const home = locateHome({ HOOP_HOME: directory });
  await new FileTokenStore(home.state).write(GATEWAY, {
    accessToken: 'before',
    expiresAtMs: NOW + remainingMs,
    refreshToken: 'handle',
    key: exportDpopKey(generateDpopKey()),
  });
  return new StoredTokens({
    home,
    config: { tokenStore: 'file' },
    gateway: GATEWAY,
    refresh: (_handle, _key, signal) => {
      const answer = Promise.withResolvers<TokenReply>();
      signal.addEventListener('abort', () => answer.reject(signal.reason), { once: true });
      asked.push({ signal, answer });
      return answer.promise;
    },
    confirm: () => Promise.reject(new Error('not asked here')),
    clock: () => NOW,
  });
}

function reply(accessToken: string): TokenReply {
  return {
    access_token: accessToken,
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'DPoP',
    expires_in: 600,
    refresh_token: 'handle 2',
  };
}

test('a renewal goes on for the others when the request that began it is given up', async () => {
  const tokens = await stored(0);
  const first = new AbortController();
  const gone = tokens.current(first.signal);
  await waitFor(() => expect(asked).toHaveLength(1));
  const others = [tokens.current(never), tokens.renewed('before', never)];
  first.abort(gaveUp);
  await expect(gone).rejects.toBe(gaveUp);
  asked[0]?.answer.resolve(reply('after'));
  const given = await Promise.all(others);
  expect(given.map(({ accessToken }) => accessToken)).toEqual(['after', 'after']);
  expect(asked).toHaveLength(1);
});

test('who gives up does not wait for an answer, and nobody’s renewal is stopped', async () => {
  const tokens = await stored(0);
  const only = new AbortController();
  const gone = tokens.current(only.signal);
  await waitFor(() => expect(asked).toHaveLength(1));
  only.abort(gaveUp);
  await expect(gone).rejects.toBe(gaveUp);
  expect(asked[0]?.signal.aborted).toBe(true);
  const next = tokens.current(never);
  await waitFor(() => expect(asked).toHaveLength(2));
  asked[1]?.answer.resolve(reply('after'));
  expect((await next).accessToken).toBe('after');
});

test('a token that the gateway refused is renewed also by who joins those to whom it looks fresh', async () => {
  const tokens = await stored(0);
  const looks = tokens.current(never);
  await waitFor(() => expect(asked).toHaveLength(1));
  // Another process has been given this token, and the gateway has refused it since.
  const refused = tokens.renewed('refused', never);
  asked[0]?.answer.resolve(reply('refused'));
  expect((await looks).accessToken).toBe('refused');
  await waitFor(() => expect(asked).toHaveLength(2));
  asked[1]?.answer.resolve(reply('after'));
  expect((await refused).accessToken).toBe('after');
});
