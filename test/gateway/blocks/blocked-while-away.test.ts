/** Who must be kept out cannot wait until the store is back. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HoopError } from '../../../src/errors.ts';
import type { Blocks } from '../../../src/gateway/blocks/blocks.ts';
import type { Block } from '../../../src/gateway/identity/block.ts';
import { sql } from '../../../src/gateway/store/store.ts';
import { type AwayStore, awayStore } from '../store/away-store.ts';
import { DRIVERS, type TestStores, testStores } from '../store/test-stores.ts';
import { ASKED, ann, lea, openBlocks } from './open-blocks.ts';

/** Ann, under the subject of another client, whom only the list of sessions knows. */
const SESSION = sql(
  `INSERT INTO sessions (id, target, kind, principal_kind, issuer, sub, name, family, policy_commit,
     recording, client_version, started_ms, expires_ms, state)
   VALUES ('s', 't', 'postgres', 'person', 'https://idp.example', 'ann-2', 'Ann', 'f', 'c', 'full',
     '1', 1, 2, 'live')`,
);

const storesOf = testStores();
let stores: TestStores;
let store: AwayStore;
let blocks: Blocks;

describe.each(DRIVERS)('in %s', (driver) => {
  beforeEach(async () => {
    stores = await storesOf(driver);
    store = awayStore(await stores.open());
    blocks = await open();
  });
  afterEach(() => stores[Symbol.asyncDispose]());

  const open = () => openBlocks(store);

  test('a block holds at once, and is written when the store is back', async () => {
    await store.change(SESSION);
    store.isAway = true;
    const block = await blocks.add(lea, ASKED, [ann]);
    expect(await blocks.keep(block)).toBe(false);
    expect(blocks.find(ann)).toBeDefined();
    const ended: Block[] = [];
    const end = async (whole: Block): Promise<void> => {
      ended.push(whole);
      // It goes away once more just then.
      if (ended.length === 1) throw new HoopError('HOOP_STORE_UNAVAILABLE', 'away again');
    };
    await blocks.keepAll(end);
    expect(blocks.find(ann)).toBeDefined();
    expect(ended).toEqual([]);
    store.isAway = false;
    await Promise.all([blocks.keepAll(end), blocks.keepAll(end)]);
    await blocks.keepAll(end);
    await blocks.keepAll(end);
    // What it ends is asked for until that is done, and by then it is known who else it means.
    expect(ended.map(({ subjects }) => subjects.map(({ sub }) => sub))).toEqual([
      ['ann', 'ann-2'],
      ['ann', 'ann-2'],
    ]);
    const other = { ...ann, sub: 'ann-2', name: 'another name' };
    for (const one of [blocks, await open()]) {
      expect(one.find(ann)).toBeDefined();
      expect(one.find(other)).toBeDefined();
    }
    expect(await blocks.list(lea)).toHaveLength(1);
    await blocks.lift(lea, block.id);
    expect((await open()).find(ann)).toBeUndefined();
  });

  test('lifted before the store is back, it does not come back with it', async () => {
    store.isAway = true;
    const block = await blocks.add(lea, ASKED, [ann]);
    await blocks.keep(block);
    await expect(blocks.lift(lea, block.id)).rejects.toMatchObject({
      code: 'HOOP_STORE_UNAVAILABLE',
    });
    expect(blocks.find(ann)).toBeDefined();
    store.isAway = false;
    await blocks.lift(lea, block.id);
    await blocks.keepAll(async () => expect.unreachable());
    expect([blocks.find(ann), (await open()).find(ann)]).toEqual([undefined, undefined]);
    expect(await blocks.list(lea)).toMatchObject([{ state: 'lifted', liftedBy: 'Lea' }]);
  });

  test('only an approver makes one then, too', async () => {
    store.isAway = true;
    await expect(blocks.add(ann, { ...ASKED, who: 'Lea' }, [lea])).rejects.toMatchObject({
      code: 'HOOP_ACCESS_DENIED',
    });
  });
});
