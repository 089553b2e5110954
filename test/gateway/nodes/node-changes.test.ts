import { expect, test } from 'vitest';
import { NodeChanges } from '../../../src/gateway/nodes/node-changes.ts';
import type { Store } from '../../../src/gateway/store/store.ts';
import { collectLog } from '../collect-log.ts';
import { awayStore } from '../store/away-store.ts';

test('what cannot be acted on is tried again, and keeps no block from being heard', async () => {
  let count = 0;
  const counted = {
    isShared: true,
    all: async () => ['commands', 'blocks'].map((topic) => ({ topic, count })),
  } as unknown as Store;
  const store = awayStore(counted);
  const { log, events } = collectLog();
  await using changes = await NodeChanges.open(store, log);
  const heard: string[] = [];
  changes.on('commands', () => {
    heard.push('commands');
    if (heard.length === 1) throw new TypeError('a command that nobody can act on');
  });
  changes.on('blocks', () => void heard.push('blocks'));
  count = 1;
  await changes.look();
  expect(heard).toEqual(['commands', 'blocks']);
  await changes.look();
  await changes.look();
  expect(heard).toEqual(['commands', 'blocks', 'commands']);
  expect(events).toMatchObject([{ event: 'node.changes_failed', topic: 'commands' }]);
  // Who asks the store says that it is away, once.
  store.isAway = true;
  await changes.look();
  expect(events).toHaveLength(1);
});
