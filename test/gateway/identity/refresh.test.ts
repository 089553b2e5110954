import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { generateDpopKey } from '../../../src/client/dpop-key.ts';
import { GATEWAY, IdentityBench, refusalOf, tokens } from './identity-bench.ts';

let bench: IdentityBench;
beforeEach(async () => {
  bench = await IdentityBench.start();
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

const REPLAYED = '401 HOOP_TOKEN_REPLAYED: the refresh handle has already been used';
const ENDED = '401 HOOP_TOKEN_REVOKED: the login has ended';

describe('a refresh handle', () => {
  test('buys a new token and the next handle, for twelve hours', async () => {
    let { refresh_token } = await bench.login();
    for (let minutes = 0; minutes < 700; minutes += 100) {
      bench.pass(100 * 60_000);
      const reply = tokens(await bench.refresh(refresh_token));
      expect(reply.refresh_token).not.toBe(refresh_token);
      await expect(
        bench.identity.authenticate(bench.request(reply.access_token)),
      ).resolves.toBeDefined();
      ({ refresh_token } = reply);
    }
    bench.pass(20 * 60_000);
    expect(refusalOf(await bench.refresh(refresh_token))).toBe(
      '401 HOOP_TOKEN_EXPIRED: the login has expired',
    );
  });

  test('gives a last token that does not outlive the login', async () => {
    const { refresh_token } = await bench.login();
    bench.pass((12 * 60 - 4) * 60_000);
    expect(tokens(await bench.refresh(refresh_token)).expires_in).toBeLessThanOrEqual(240);
  });

  test('survives a restart of the gateway', async () => {
    const { refresh_token } = await bench.login();
    bench.restart();
    expect((await bench.refresh(refresh_token)).status).toBe(200);
  });

  test('may be sent again within 30 s, for a reply that was lost, and gives the same next one', async () => {
    const { refresh_token } = await bench.login();
    const first = tokens(await bench.refresh(refresh_token));
    bench.pass(30_000);
    const again = tokens(await bench.refresh(refresh_token));
    expect(again.refresh_token).toBe(first.refresh_token);
    expect((await bench.refresh(again.refresh_token)).status).toBe(200);
  });

  test('sent by two requests at once gives both the same next one', async () => {
    const { refresh_token } = await bench.login();
    const replies = await Promise.all([bench.refresh(refresh_token), bench.refresh(refresh_token)]);
    const [first, second] = replies.map((reply) => tokens(reply).refresh_token);
    expect(first).toBe(second);
  });

  test('used again later ends the login for whoever holds it', async () => {
    const { refresh_token } = await bench.login();
    const ended: string[] = [];
    bench.identity.onRevoked((family) => ended.push(family));
    const next = tokens(await bench.refresh(refresh_token));
    bench.pass(30_001);
    expect(refusalOf(await bench.refresh(refresh_token))).toBe(REPLAYED);
    expect(refusalOf(await bench.refresh(next.refresh_token))).toBe(ENDED);
    await expect(
      bench.identity.authenticate(bench.request(next.access_token)),
    ).rejects.toMatchObject({
      code: 'HOOP_TOKEN_REVOKED',
      detail: 'Two clients used the same login, so the gateway ended it.',
    });
    expect(ended).toHaveLength(1);
  });

  test('from two steps ago ends the login, even within the 30 s', async () => {
    const { refresh_token } = await bench.login();
    const second = tokens(await bench.refresh(refresh_token));
    await bench.refresh(second.refresh_token);
    expect(refusalOf(await bench.refresh(refresh_token))).toBe(REPLAYED);
  });

  test('is worth nothing with another key, and the attempt does not end the login', async () => {
    const { refresh_token } = await bench.login();
    const stolen = bench.proof({}, generateDpopKey());
    expect(refusalOf(await bench.refresh(refresh_token, stolen))).toBe(
      '401 HOOP_PROOF_KEY: the proof is made with a key that is not the token’s',
    );
    expect((await bench.refresh(refresh_token)).status).toBe(200);
  });

  test.each([
    ['made up', `hr1.aaaaaaaaaaaaaaaaaaaaaa.0.${'a'.repeat(43)}`, 'HOOP_TOKEN_SIGNATURE'],
    ['of another form', 'hello', 'HOOP_TOKEN_MALFORMED'],
  ])('that is %s is refused', async (_title, handle, code) => {
    expect(refusalOf(await bench.refresh(handle))).toContain(code);
  });

  test('with a changed generation is refused', async () => {
    const { refresh_token } = await bench.login();
    const forged = refresh_token.replace('.0.', '.1.');
    expect(refusalOf(await bench.refresh(forged))).toContain('HOOP_TOKEN_SIGNATURE');
    expect((await bench.refresh(refresh_token)).status).toBe(200);
  });

  test('of another gateway is refused', async () => {
    await using other = await IdentityBench.start();
    const { refresh_token } = await other.login();
    expect(refusalOf(await bench.refresh(refresh_token))).toContain('HOOP_TOKEN_SIGNATURE');
  });
});

describe('logout', () => {
  const logout = (handle: string, more: Record<string, string> = {}, key = bench.key) =>
    bench.identity.logout({
      method: 'POST',
      url: '/v1/logout',
      dpop: bench.proof({ url: `${GATEWAY}/v1/logout` }, key),
      body: new URLSearchParams({ token: handle, ...more }).toString(),
    });

  test('ends this login and no other', async () => {
    const first = await bench.login();
    const second = await bench.login();
    expect(await logout(first.refresh_token)).toMatchObject({ status: 200, body: { ended: 1 } });
    expect(refusalOf(await bench.refresh(first.refresh_token))).toBe(ENDED);
    expect((await bench.refresh(second.refresh_token)).status).toBe(200);
  });

  test('a second time ends nothing and is no error', async () => {
    const { refresh_token } = await bench.login();
    await logout(refresh_token);
    expect(await logout(refresh_token)).toMatchObject({ status: 200, body: { ended: 0 } });
  });

  test('--all ends every login of the person, and of nobody else', async () => {
    const first = await bench.login();
    const second = await bench.login();
    const other = await bench.login({ sub: 'u-2' });
    expect(await logout(first.refresh_token, { all: 'true' })).toMatchObject({
      body: { ended: 2 },
    });
    expect(refusalOf(await bench.refresh(second.refresh_token))).toBe(ENDED);
    expect((await bench.refresh(other.refresh_token)).status).toBe(200);
  });

  test('needs the key of the login', async () => {
    const { refresh_token } = await bench.login();
    expect(refusalOf(await logout(refresh_token, {}, generateDpopKey()))).toContain(
      'HOOP_PROOF_KEY',
    );
    expect((await bench.refresh(refresh_token)).status).toBe(200);
  });
});

describe('the store', () => {
  test('forgets what has run out, and nothing before', async () => {
    const { refresh_token } = await bench.login();
    const digest = 'a'.repeat(64);
    await bench.store.spendOnce(digest, bench.now() + 1000);
    await bench.store.prune(bench.now() + 999);
    expect(await bench.store.spendOnce(digest, bench.now() + 1000)).toBe(false);
    await bench.store.prune(bench.now() + 1000);
    expect(await bench.store.spendOnce(digest, bench.now() + 1000)).toBe(true);
    expect((await bench.refresh(refresh_token)).status).toBe(200);
    await bench.store.prune(bench.now() + 13 * 3600_000);
    expect(refusalOf(await bench.refresh(refresh_token))).toBe(ENDED);
  });
});
