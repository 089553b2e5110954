import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ErrorBody } from '../../../src/api/http.ts';
import { IdentityBench, refusalOf } from './identity-bench.ts';

let bench: IdentityBench;
beforeEach(async () => {
  bench = await IdentityBench.start();
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

async function exchangeStatus(): Promise<number> {
  return (await bench.exchange(await bench.idToken())).status;
}

describe('the keys of a provider', () => {
  test('are read once for many logins, also when they come at once', async () => {
    await Promise.all(Array.from({ length: 10 }, () => exchangeStatus()));
    expect(await exchangeStatus()).toBe(200);
    expect(bench.issuer.fetches).toBe(1);
  });

  test('are read again after ten minutes', async () => {
    await exchangeStatus();
    bench.pass(10 * MINUTE - 1);
    await exchangeStatus();
    expect(bench.issuer.fetches).toBe(1);
    bench.pass(1);
    await exchangeStatus();
    expect(bench.issuer.fetches).toBe(2);
  });

  test('are read again after ten minutes, and for new key ids, also when the clock was set back', async () => {
    await exchangeStatus();
    bench.pass(-24 * HOUR);
    for (let key = 0; key < 6; key += 1) {
      await bench.issuer.rotate(`key-after-${key}`);
      expect(await exchangeStatus()).toBe(200);
      bench.pass(30_000);
    }
    const { fetches } = bench.issuer;
    bench.pass(10 * MINUTE);
    await exchangeStatus();
    expect(bench.issuer.fetches).toBe(fetches + 1);
  });

  test('are read at once for a key id that is new, also right after the reading before', async () => {
    await exchangeStatus();
    await bench.issuer.rotate('key-2');
    expect(await exchangeStatus()).toBe(200);
    await bench.issuer.rotate('key-3');
    expect(await exchangeStatus()).toBe(200);
    expect(bench.issuer.fetches).toBe(3);
  });

  test('are read a few times for key ids that are forged, and then once in 30 s', async () => {
    await exchangeStatus();
    const forge = async (from: number) => {
      for (let i = from; i < from + 10; i += 1) {
        const token = await bench.issuer.mint(bench.claims(), { header: { kid: `forged-${i}` } });
        expect(refusalOf(await bench.exchange(token))).toContain('HOOP_TOKEN_KEY');
      }
    };
    await forge(0);
    expect(bench.issuer.fetches).toBe(5);
    bench.pass(30_000);
    await forge(10);
    expect(bench.issuer.fetches).toBe(6);
    // Those who log in with keys that are known do not notice.
    expect(await exchangeStatus()).toBe(200);
  });

  test('that were taken back are not believed after the next reading', async () => {
    const old = bench.issuer.key;
    await exchangeStatus();
    await bench.issuer.rotate('key-2');
    bench.pass(10 * MINUTE);
    const token = await bench.issuer.mint(bench.claims(), { key: old });
    expect(refusalOf(await bench.exchange(token))).toContain('HOOP_TOKEN_KEY');
  });

  test('serve for a day while the provider is down, and no longer', async () => {
    await exchangeStatus();
    bench.issuer.fault = 'down';
    bench.pass(24 * HOUR - MINUTE);
    expect(await exchangeStatus()).toBe(200);
    bench.pass(2 * MINUTE);
    const reply = await bench.exchange(await bench.idToken());
    expect(refusalOf(reply)).toBe(
      `503 HOOP_IDP_UNREACHABLE: the gateway cannot read the keys of the identity provider "${bench.issuer.issuer}"`,
    );
    bench.issuer.fault = 'none';
    expect(await exchangeStatus()).toBe(200);
  });

  test.each(['not-json', 'empty', 'secrets-only', 'no-set', 'huge', 'wrong-issuer'] as const)(
    'are not replaced by an answer that has none: %s',
    async (fault) => {
      await exchangeStatus();
      bench.issuer.fault = fault;
      bench.pass(HOUR);
      expect(await exchangeStatus()).toBe(200);
      // Rotated meanwhile: the new key is found as soon as the provider is well again.
      bench.issuer.fault = 'none';
      await bench.issuer.rotate('key-2');
      bench.pass(MINUTE);
      expect(await exchangeStatus()).toBe(200);
      bench.issuer.fault = fault;
      bench.pass(24 * HOUR);
      expect((await bench.exchange(await bench.idToken())).status).toBe(503);
    },
  );

  test('that change while the provider is down are not believed until it answers', async () => {
    await exchangeStatus();
    bench.issuer.fault = 'down';
    await bench.issuer.rotate('key-2');
    bench.pass(HOUR);
    expect(refusalOf(await bench.exchange(await bench.idToken()))).toContain('HOOP_TOKEN_KEY');
    bench.issuer.fault = 'none';
    bench.pass(MINUTE);
    expect(await exchangeStatus()).toBe(200);
  });

  test.each([
    'down',
    'wrong-issuer',
    'huge',
    'not-json',
    'redirect',
    'empty',
    'secrets-only',
    'no-set',
  ] as const)('that were never read are an error of their own: %s', async (fault) => {
    bench.issuer.fault = fault;
    const reply = await bench.exchange(await bench.idToken());
    expect(reply.status).toBe(503);
    expect(refusalOf(reply)).toContain('HOOP_IDP_UNREACHABLE');
  });

  test.each([
    ['not-json', 'it answers with something else than JSON, such as a web page'],
    ['redirect', 'it redirects elsewhere'],
  ] as const)('and the answer that was none is told in words: %s', async (fault, words) => {
    bench.issuer.fault = fault;
    const { error } = ErrorBody.parse((await bench.exchange(await bench.idToken())).body);
    expect(error.detail).toBe(`The last attempt failed: ${words}.`);
  });

  test('are given up after five seconds when the provider says nothing', async () => {
    bench.issuer.fault = 'silent';
    expect((await bench.exchange(await bench.idToken())).status).toBe(503);
  });

  test('and a login that failed for them did not spend its token', async () => {
    const token = await bench.idToken();
    bench.issuer.fault = 'down';
    expect((await bench.exchange(token)).status).toBe(503);
    bench.issuer.fault = 'none';
    expect((await bench.exchange(token)).status).toBe(200);
  });
});
