import type { EventParty } from '../../api/events.ts';
import { type Block, blockText } from '../identity/block.ts';
import type { Identity, KnownLogin } from '../identity/identity.ts';

/**
 * @param logins those that the block means
 * @returns how many have ended, with those that were made from them
 */
export async function endBlockedLogins(
  identity: Pick<Identity, 'revoke'>,
  block: Block,
  logins: readonly KnownLogin[],
  by: EventParty,
): Promise<number> {
  let count = 0;
  for (const { family } of logins) {
    count += (await identity.revoke({ id: family }, blockText(block), { how: 'blocked', by }))
      .length;
  }
  return count;
}
