import { generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LoginNonces } from '../../../src/gateway/identity/login-nonces.ts';
import { SqlIdentityStore } from '../../../src/gateway/identity/sql-identity-store.ts';
import { SessionNonces } from '../../../src/gateway/sessions/session-nonces.ts';
import { NO_EVENTS } from '../no-events.ts';
import { DRIVERS, type TestStores, testStores } from '../store/test-stores.ts';

const storesOf = testStores();
let now = 0;
let stores: TestStores;
const signingKey = generateKeyPairSync('ed25519').privateKey;
const clock = () => now;

async function gateway(): Promise<SessionNonces> {
  return new SessionNonces({
    signingKey,
    store: new SqlIdentityStore(await stores.open(), NO_EVENTS),
    clock,
  });
}

describe.each(DRIVERS)('a nonce of a session request, with a store in %s', (driver) => {
  beforeEach(async () => {
    now = 1_700_000_000_000;
    stores = await storesOf(driver);
  });
  afterEach(() => stores[Symbol.asyncDispose]());

  test('is good once, for its login, for five minutes', async () => {
    const nonces = await gateway();
    const nonce = nonces.issue('a');
    expect(await nonces.use('b', nonce)).toBe(false);
    expect(await nonces.use('a', nonce)).toBe(true);
    expect(await nonces.use('a', nonce)).toBe(false);
    const late = nonces.issue('a');
    now += 5 * 60_000;
    expect(await nonces.use('a', late)).toBe(false);
  });

  test('is taken by one of two gateways, whichever issued it', async () => {
    const [one, other] = [await gateway(), await gateway()];
    for (let round = 0; round < 20; round += 1) {
      const nonce = one.issue('a');
      const uses = await Promise.all([one.use('a', nonce), other.use('a', nonce)]);
      expect(uses.filter((isUsed) => isUsed)).toEqual([true]);
    }
  });

  test('is nothing else that the gateway signs, nor spelt in another way', async () => {
    const nonces = await gateway();
    const nonce = nonces.issue('a');
    for (const other of [
      Buffer.from(new LoginNonces(signingKey, clock).issue(), 'base64url').toString('base64'),
      `${nonce} `,
      nonce.replace(/=*$/, ''),
      nonce.replaceAll('+', '-').replaceAll('/', '_').replace(/=*$/, ''),
      '',
    ]) {
      if (other !== nonce) expect(await nonces.use('a', other), other).toBe(false);
    }
    expect(await nonces.use('a', nonce)).toBe(true);
  });
});
