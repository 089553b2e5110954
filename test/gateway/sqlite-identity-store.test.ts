import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RefreshFamily } from '../../src/gateway/identity/identity-store.ts';
import { IndexStore } from '../../src/gateway/index-store.ts';
import { SqliteIdentityStore } from '../../src/gateway/sqlite-identity-store.ts';

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

let directory: string;
let database: IndexStore;
let store: SqliteIdentityStore;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hoop-identity-'));
  open();
});
afterEach(async () => {
  database[Symbol.dispose]();
  await rm(directory, { recursive: true });
});

function open(): void {
  database = IndexStore.open(join(directory, 'index.sqlite'));
  store = new SqliteIdentityStore(database);
}

test('a digest is spent once, also across a restart', async () => {
  expect(await store.spendOnce('d', 1000)).toBe(true);
  expect(await store.spendOnce('d', 1000)).toBe(false);
  database[Symbol.dispose]();
  open();
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
