/** A block holds before it is in the store; who lifts it in between has lifted it for good. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Blocks } from '../../../src/gateway/blocks/blocks.ts';
import { type InterruptedStore, interruptedStore } from '../store/interrupted-store.ts';
import { DRIVERS, type TestStores, testStores } from '../store/test-stores.ts';
import { ASKED, ann, lea, openBlocks } from './open-blocks.ts';

const storesOf = testStores();
let stores: TestStores;
let store: InterruptedStore;
let blocks: Blocks;

describe.each(DRIVERS)('in %s', (driver) => {
  beforeEach(async () => {
    stores = await storesOf(driver);
    store = interruptedStore(await stores.open());
    blocks = await open();
  });
  afterEach(() => stores[Symbol.asyncDispose]());

  const open = () => openBlocks(store);
  const isBlocked = (by: Blocks) => by.find(ann) !== undefined;

  test('a block that is kept holds after a restart, until it is lifted', async () => {
    const block = await blocks.add(lea, ASKED, [ann]);
    await blocks.keep(block);
    expect(isBlocked(await open())).toBe(true);
    await blocks.lift(lea, block.id);
    expect(isBlocked(await open())).toBe(false);
    await expect(blocks.lift(lea, block.id)).rejects.toMatchObject({
      code: 'HOOP_APPROVAL_ENDED',
    });
  });

  test('lifted before it is kept, it does not come back with a restart', async () => {
    const block = await blocks.add(lea, ASKED, [ann]);
    await blocks.lift(lea, block.id);
    await blocks.keep(block);
    expect([isBlocked(blocks), isBlocked(await open())]).toEqual([false, false]);
    expect(await blocks.list(lea)).toMatchObject([{ state: 'lifted', liftedBy: 'Lea' }]);
  });

  test('nor where it is kept while it is looked for, or looked for while it is kept', async () => {
    const first = await blocks.add(lea, ASKED, [ann]);
    store.before(/UPDATE blocks/, () => blocks.keep(first));
    await blocks.lift(lea, first.id);
    const second = await blocks.add(lea, ASKED, [ann]);
    store.before(/INSERT INTO blocks/, () => blocks.lift(lea, second.id));
    await blocks.keep(second);
    expect([isBlocked(blocks), isBlocked(await open())]).toEqual([false, false]);
  });
});
