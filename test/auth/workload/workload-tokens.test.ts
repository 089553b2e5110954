/** The login of a job over its time, against the gateway's own identity, whose clock a test moves. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ErrorBody } from '../../../src/api/http.ts';
import { TokenReply } from '../../../src/api/login.ts';
import { WorkloadTokens } from '../../../src/auth/workload/workload-tokens.ts';
import type { DpopKey } from '../../../src/client/dpop-key.ts';
import { ERROR_CODES, HoopError } from '../../../src/errors.ts';
import type { HttpReply } from '../../../src/gateway/identity/http-reply.ts';
import { locateHome } from '../../../src/home.ts';
import { GATEWAY, IdentityBench } from '../../gateway/identity/identity-bench.ts';
import { workloadRulesOf } from '../../gateway/identity/workload-rules-of.ts';

const MINUTE = 60_000;
const AUDIENCE = `${GATEWAY}/workload`;
const signal = new AbortController().signal;

let directory: string;
let bench: IdentityBench;
/** What was asked of the gateway, in order. */
let asked: string[];
/** What the platform gives; undefined: nothing. */
let platform: () => Promise<string> | undefined;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-workload-tokens-'));
  bench = await IdentityBench.start();
  bench.workloads = workloadRulesOf({
    name: 'deploy',
    platform: 'github',
    issuer: bench.issuer.issuer,
    claims: { repository_id: '100' },
    groups: ['ci'],
  });
  asked = [];
  platform = mint;
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

function mint(): Promise<string> {
  const now = bench.nowSeconds();
  const job = { iss: bench.issuer.issuer, aud: AUDIENCE, sub: 'repo:a', repository_id: '100' };
  const id = { event_name: 'push', jti: `${Math.random()}` };
  return bench.issuer.mint({ ...job, ...id, iat: now, exp: now + 7200 });
}

interface Faults {
  /** The answer of the gateway gets lost this many times. */
  lost: number;
}

/** As another process of the job would have it. */
function open(faults: Faults = { lost: 0 }): WorkloadTokens {
  const answer = async (what: string, replying: Promise<HttpReply>): Promise<TokenReply> => {
    asked.push(what);
    const reply = await replying;
    if (faults.lost > 0) {
      faults.lost -= 1;
      throw new HoopError('HOOP_UNREACHABLE', 'the connection was lost');
    }
    if (reply.status === 200) {
      return TokenReply.parse(reply.body);
    }
    const { code, message } = ErrorBody.parse(reply.body).error;
    const known = ERROR_CODES.find((one) => one === code);
    throw new HoopError(known ?? 'HOOP_INTERNAL', message);
  };
  return new WorkloadTokens({
    home: locateHome({ HOOP_HOME: directory }),
    gateway: GATEWAY,
    chosen: {
      provider: { name: 'github', title: 'GitHub Actions' },
      workload: {
        state: 'found',
        because: 'a test',
        scope: 'this job',
        fetchToken: async () => {
          const given = platform();
          if (given === undefined) {
            throw new HoopError('HOOP_WORKLOAD_TOKEN', 'the platform gives no token');
          }
          return given;
        },
      },
    },
    audience: AUDIENCE,
    exchange: (token, key) => answer('exchange', bench.exchangeWorkload(token, key)),
    refresh: (handle, key) => answer('refresh', bench.refresh(handle, bench.proof({}, key))),
    clock: () => bench.now(),
  });
}

/** Id of the login that these tokens are of. */
async function loginOf({ accessToken, key }: { accessToken: string; key: DpopKey }) {
  return (await bench.identity.authenticate(bench.request(accessToken, {}, key))).family;
}

test('the first command exchanges the platform’s token, the next ones of the job use the login', async () => {
  const first = await open().current(signal);
  const second = await open().current(signal);
  expect(second.accessToken).toBe(first.accessToken);
  expect(asked).toEqual(['exchange']);
});

test('commands that start at once exchange once', async () => {
  const both = await Promise.all([open(), open(), open()].map((one) => one.current(signal)));
  expect(new Set(both.map(({ accessToken }) => accessToken)).size).toBe(1);
  const one = open();
  bench.pass(10 * MINUTE);
  await Promise.all([one.current(signal), one.current(signal)]);
  expect(asked).toEqual(['exchange', 'refresh']);
});

test('who gives up the request that began an exchange leaves it to the others', async () => {
  const given = Promise.withResolvers<string>();
  platform = () => given.promise;
  const tokens = open();
  const first = new AbortController();
  const gone = tokens.current(first.signal);
  const other = tokens.current(signal);
  const gaveUp = new HoopError('HOOP_INTERRUPTED', 'gave up');
  first.abort(gaveUp);
  await expect(gone).rejects.toBe(gaveUp);
  given.resolve(await mint());
  expect((await other).accessToken).not.toBe('');
  expect(asked).toEqual(['exchange']);
});

test('a token is renewed before it ends, with the handle as long as the login is good', async () => {
  const tokens = open();
  const login = await loginOf(await tokens.current(signal));
  bench.pass(9 * MINUTE);
  await tokens.current(signal);
  expect(asked).toEqual(['exchange']);
  bench.pass(MINUTE);
  expect(await loginOf(await tokens.current(signal))).toBe(login);
  expect(asked).toEqual(['exchange', 'refresh']);
});

test('a login with less than a quarter of an hour is made to last longer, and stays the same one', async () => {
  const tokens = open();
  const login = await loginOf(await tokens.current(signal));
  for (let passed = 0; passed < 180; passed += 46) {
    bench.pass(46 * MINUTE);
    expect(await loginOf(await tokens.current(signal))).toBe(login);
  }
  expect(asked).toEqual(['exchange', 'exchange', 'exchange', 'exchange', 'exchange']);
});

test('where the platform has no other token the login is used to its end, and no further', async () => {
  const tokens = open();
  await tokens.current(signal);
  platform = () => undefined;
  bench.pass(50 * MINUTE);
  await tokens.current(signal);
  expect(asked).toEqual(['exchange', 'refresh']);
  bench.pass(11 * MINUTE);
  await expect(tokens.current(signal)).rejects.toMatchObject({ code: 'HOOP_WORKLOAD_TOKEN' });
  expect(asked).toEqual(['exchange', 'refresh']);
});

test('a token that has run out, as the one of a GitLab job does, is no reason to stop before', async () => {
  const token = mint();
  platform = () => token;
  const tokens = open();
  for (const minutes of [46, 46, 46]) {
    await tokens.current(signal);
    bench.pass(minutes * MINUTE);
  }
  // The token of two hours has ended; what it gave last has some minutes left.
  await tokens.current(signal);
  expect(asked).toEqual(['exchange', 'exchange', 'exchange', 'exchange', 'refresh']);
});

test('the key is kept before the exchange: an answer that is lost does not lock the job out', async () => {
  const token = mint();
  platform = () => token;
  await expect(open({ lost: 1 }).current(signal)).rejects.toMatchObject({
    code: 'HOOP_UNREACHABLE',
  });
  await loginOf(await open().current(signal));
  expect(asked).toEqual(['exchange', 'exchange']);
});

test('a refresh whose answer is lost is asked again, and is no reason to exchange', async () => {
  await open().current(signal);
  bench.pass(10 * MINUTE);
  await expect(open({ lost: 1 }).current(signal)).rejects.toMatchObject({
    code: 'HOOP_UNREACHABLE',
  });
  await loginOf(await open().current(signal));
  expect(asked).toEqual(['exchange', 'refresh', 'refresh']);
});

describe('a login that was ended', () => {
  const end = async () => {
    await bench.identity.revoke({ issuer: bench.issuer.issuer, sub: 'repo:a' });
  };

  test('is followed by another one where the platform signs another token', async () => {
    const tokens = open();
    const { accessToken, key } = await tokens.current(signal);
    const login = await loginOf({ accessToken, key });
    await end();
    const next = await tokens.renewed(accessToken, signal);
    expect(await loginOf(next)).not.toBe(login);
    expect(asked).toEqual(['exchange', 'refresh', 'exchange']);
  });

  test('is the end where the job has one token', async () => {
    const token = mint();
    platform = () => token;
    const tokens = open();
    const { accessToken } = await tokens.current(signal);
    await end();
    await expect(tokens.renewed(accessToken, signal)).rejects.toMatchObject({
      code: 'HOOP_TOKEN_REVOKED',
    });
  });
});

test('a token that another process has renewed meanwhile is taken from it', async () => {
  const [mine, other] = [open(), open()];
  const { accessToken } = await mine.current(signal);
  const renewed = await other.renewed(accessToken, signal);
  expect(await mine.renewed(accessToken, signal)).toMatchObject({
    accessToken: renewed.accessToken,
  });
  expect(asked).toEqual(['exchange', 'refresh']);
});

test('a logout ends the login and keeps the key, which the token of the job is bound to', async () => {
  const token = mint();
  platform = () => token;
  const tokens = open();
  const before = await tokens.current(signal);
  const ended: string[] = [];
  const logout = () => tokens.logout(async (handle) => void ended.push(handle), signal);
  expect(await logout()).toBe(true);
  expect(ended).toHaveLength(1);
  expect(await logout()).toBe(false);
  const after = await tokens.current(signal);
  expect(await loginOf(after)).toBe(await loginOf(before));
});
