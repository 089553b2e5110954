/** Lea, who may block, Ann, whom she blocks, and the blocks of a gateway on a store. */
import { Blocks } from '../../../src/gateway/blocks/blocks.ts';
import type { Store } from '../../../src/gateway/store/store.ts';
import type { Principal } from '../../../src/policy/types.ts';
import { collectLog } from '../collect-log.ts';
import { NO_EVENTS } from '../no-events.ts';

export const lea: Principal = {
  kind: 'person',
  issuer: 'https://idp.example',
  sub: 'lea',
  name: 'Lea',
  email: undefined,
  groups: [],
  roles: ['approver'],
};
export const ann: Principal = { ...lea, sub: 'ann', name: 'Ann', roles: [] };
export const ASKED = { v: 1, who: 'Ann', reason: 'INC-4711' } as const;

export function openBlocks(store: Store): Promise<Blocks> {
  return Blocks.open({
    store,
    events: NO_EVENTS,
    agents: () => new Set(),
    clock: () => 1_700_000_000_000,
    log: collectLog().log,
  });
}
