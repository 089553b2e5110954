import { createHash } from 'node:crypto';
import type { EventParty } from '../../api/events.ts';
import type { Principal } from '../../policy/types.ts';

/** Whoever this is, as events name them. */
export function eventParty(
  who: Pick<Principal, 'issuer' | 'sub' | 'name'> &
    Partial<Pick<Principal, 'kind' | 'agent' | 'isAgent' | 'requester'>>,
): EventParty {
  const { kind, issuer, sub, name, agent, isAgent, requester } = who;
  return {
    ...(kind === undefined ? {} : { kind }),
    ...{ issuer, sub, name },
    ...(agent === undefined ? {} : { agent }),
    ...(isAgent === true ? { agentItself: true } : {}),
    ...(requester === undefined ? {} : { requester }),
  };
}

/** What a login is called in events: its id is in tokens. */
export function eventLogin(family: string): string {
  return createHash('sha256').update(`login ${family}`).digest('hex').slice(0, 16);
}
