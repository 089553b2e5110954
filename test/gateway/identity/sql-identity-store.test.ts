import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BoundToken, RefreshFamily } from '../../../src/gateway/identity/identity-store.ts';
import { SqlIdentityStore } from '../../../src/gateway/identity/sql-identity-store.ts';
import { SessionIndex } from '../../../src/gateway/index/session-index.ts';
import { NO_EVENTS } from '../no-events.ts';
import { DRIVERS, type TestStores, testStores } from '../store/test-stores.ts';

const FAMILY: RefreshFamily = {
  id: 'f1',
  issuer: 'https://idp.test',
  sub: 'u1',
  jkt: 'thumb',
  generation: 0,
  rotatedAtMs: 1,
  createdAtMs: 1,
  expiresAtMs: 1000,
  claims: '{}',
  revoked: false,
};

const SESSION = {
  ...{ target: 'db', kind: 'postgres', run: undefined, parentRun: undefined, program: undefined },
  principal: {
    kind: 'person',
    ...{ issuer: FAMILY.issuer, sub: FAMILY.sub, name: 'devin' },
    ...{ email: undefined, groups: [], roles: [] },
  },
  ...{ reason: undefined, policyCommit: 'c0ffee', recording: 'full', clientVersion: '0.1.0' },
} as const;

const storesOf = testStores();

describe.each(DRIVERS)('in %s', (driver) => {
  let stores: TestStores;
  let store: SqlIdentityStore;

  beforeEach(async () => {
    stores = await storesOf(driver);
    await open();
  });
  afterEach(() => stores[Symbol.asyncDispose]());

  async function open(): Promise<void> {
    store = new SqlIdentityStore(await stores.open(), NO_EVENTS);
  }

  test('a digest is spent once, also across a restart', async () => {
    expect(await store.spendOnce('d', 1000)).toBe(true);
    expect(await store.spendOnce('d', 1000)).toBe(false);
    await stores.close();
    await open();
    expect(await store.spendOnce('d', 1000)).toBe(false);
    await store.prune(1001);
    expect(await store.spendOnce('d', 2000)).toBe(true);
  });

  test('a login comes back as it was stored', async () => {
    await store.createFamily(FAMILY);
    expect(await store.readFamily('f1')).toEqual(FAMILY);
    expect(await store.readFamily('f2')).toBeUndefined();
  });

  test('only the generation that is good now can be advanced', async () => {
    await store.createFamily(FAMILY);
    expect(await store.advanceFamily('f1', 0, 5)).toBe(true);
    expect(await store.advanceFamily('f1', 0, 6)).toBe(false);
    expect(await store.readFamily('f1')).toMatchObject({ generation: 1, rotatedAtMs: 5 });
  });

  test('a revoked login cannot be advanced, and is reported once', async () => {
    await store.createFamily(FAMILY);
    await store.createFamily({ ...FAMILY, id: 'f2' });
    await store.createFamily({ ...FAMILY, id: 'f3', sub: 'other' });
    expect(await store.revokeFamilies({ id: 'f1' })).toEqual(['f1']);
    expect(await store.advanceFamily('f1', 0, 5)).toBe(false);
    expect(await store.revokeFamilies({ issuer: FAMILY.issuer, sub: 'u1' })).toEqual(['f2']);
    expect((await store.readFamily('f3'))?.revoked).toBe(false);
  });

  test('why a login was ended is kept with it and with what was made from it; the first reason stays', async () => {
    await store.createFamily(FAMILY);
    await store.createFamily({ ...FAMILY, id: 'run', parent: 'f1', run: '{}' });
    await store.createFamily({ ...FAMILY, id: 'f2' });
    await store.revokeFamilies({ id: 'run' }, 'killed');
    await store.revokeFamilies({ id: 'f1' }, 'logged out');
    await store.revokeFamilies({ issuer: FAMILY.issuer, sub: 'u1' }, 'blocked');
    await stores.close();
    await open();
    const because = async (id: string) => (await store.readFamily(id))?.revokedBecause;
    expect(await because('run')).toBe('killed');
    expect(await because('f1')).toBe('logged out');
    expect(await because('f2')).toBe('blocked');
  });

  test('a login stays as long as a session of it, or of a run that was made from it', async () => {
    const opened = await stores.open();
    const end = async (): Promise<void> => undefined;
    const index = new SessionIndex(
      opened,
      { id: 'node', term: 1 },
      () => 0,
      end,
      () => false,
      NO_EVENTS,
    );
    for (const id of ['f1', 'f2', 'f3']) await store.createFamily({ ...FAMILY, id });
    await store.createFamily({ ...FAMILY, id: 'run', parent: 'f2', run: '{}' });
    const session = { ...SESSION, startedMs: 0, expiresMs: 1 };
    await index.start({ ...session, id: '01890a5d-ac96-774b-bcce-b302099a8057', family: 'f1' });
    await index.start({ ...session, id: '01890a5d-ac96-774b-bcce-b302099a8058', family: 'run' });
    await store.prune(5000);
    const there = async (id: string) => (await store.readFamily(id)) !== undefined;
    const kept = await Promise.all(['f1', 'f2', 'f3', 'run'].map(there));
    expect(kept).toEqual([true, true, false, true]);
  });

  const TOKEN: BoundToken = {
    digest: 'd1',
    issuer: 'https://ci.test',
    sub: 'job',
    jkt: 'thumb',
    expiresAtMs: 1000.5,
  };

  describe('a token of a workload', () => {
    test('keeps the first key that came with it, across a restart, until it expires', async () => {
      expect(await store.bindToken(TOKEN)).toEqual({ jkt: 'thumb', revoked: false });
      await stores.close();
      await open();
      const thief = { ...TOKEN, jkt: 'thief' };
      expect(await store.bindToken(thief)).toEqual({ jkt: 'thumb', revoked: false });
      await store.prune(1001);
      expect(await store.bindToken(TOKEN)).toEqual({ jkt: 'thumb', revoked: false });
      await store.prune(1002);
      expect(await store.bindToken(thief)).toEqual({ jkt: 'thief', revoked: false });
    });

    test('is revoked with those of its key, or of its subject, and no other', async () => {
      const parallel = { ...TOKEN, digest: 'd2', jkt: 'other' };
      const foreign = [
        { ...TOKEN, digest: 'd3', sub: 'job2' },
        { ...TOKEN, digest: 'd4', issuer: 'https://ci.test#keys' },
      ];
      for (const token of [TOKEN, parallel, ...foreign]) {
        await store.bindToken(token);
      }
      const { issuer, sub } = TOKEN;
      await store.revokeTokens({ issuer, sub, jkt: 'thumb' });
      expect((await store.bindToken(TOKEN)).revoked).toBe(true);
      expect((await store.bindToken(parallel)).revoked).toBe(false);
      await store.revokeTokens({ issuer, sub });
      expect((await store.bindToken(parallel)).revoked).toBe(true);
      for (const token of foreign) {
        expect((await store.bindToken(token)).revoked).toBe(false);
      }
      expect((await store.bindToken({ ...TOKEN, digest: 'd5' })).revoked).toBe(false);
      await stores.close();
      await open();
      expect((await store.bindToken(TOKEN)).revoked).toBe(true);
    });
  });

  describe('a login that a token extends', () => {
    const TO = { claims: '{"run":"2"}', expiresAtMs: 5000.9 };

    test('keeps its id and generation, with the new end and claims, and its live runs with it', async () => {
      await store.createFamily({ ...FAMILY, generation: 3 });
      await store.createFamily({ ...FAMILY, id: 'run', jkt: 'r1', parent: 'f1', run: '{}' });
      await store.createFamily({ ...FAMILY, id: 'inner', jkt: 'r2', parent: 'run', run: '{}' });
      await store.createFamily({ ...FAMILY, id: 'over', jkt: 'r3', parent: 'f1', run: '{}' });
      await store.revokeFamilies({ id: 'over' });
      const extended = await store.extendFamily(FAMILY, TO, 900);
      const to = { claims: TO.claims, expiresAtMs: 5000 };
      expect(extended).toEqual({ ...FAMILY, generation: 3, ...to });
      expect(await store.readFamily('run')).toMatchObject(to);
      expect(await store.readFamily('inner')).toMatchObject(to);
      expect(await store.readFamily('over')).toMatchObject({ revoked: true, expiresAtMs: 1000 });
    });

    test.each<[string, Partial<RefreshFamily>, number]>([
      ['of another key', { jkt: 'other' }, 900],
      ['of another subject', { sub: 'u2' }, 900],
      ['of another issuer', { issuer: 'https://other.test' }, 900],
      ['that was revoked', { revoked: true }, 900],
      ['of a run', { run: '{}' }, 900],
      ['that has run out', {}, 1000],
    ])('is none %s', async (_title, changes, nowMs) => {
      await store.createFamily({ ...FAMILY, ...changes });
      expect(await store.extendFamily(FAMILY, TO, nowMs)).toBeUndefined();
      expect((await store.readFamily('f1'))?.expiresAtMs).toBe(1000);
    });

    test('leaves other logins of the same subject as they are', async () => {
      await store.createFamily(FAMILY);
      await store.createFamily({ ...FAMILY, id: 'f2', jkt: 'parallel' });
      await store.extendFamily(FAMILY, TO, 900);
      expect((await store.readFamily('f2'))?.expiresAtMs).toBe(1000);
    });
  });
});
