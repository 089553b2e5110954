/** Who may see and do what with a session. What one may not see does not exist for one. */
import { HoopError } from '../errors.ts';
import type { Principal } from '../policy/types.ts';
import { isSessionId } from '../recording/session-id.ts';
import type { IndexedSession, SessionIndex } from './session-index.ts';

/** own: what only the owner's client does. read: owner and auditors. end: owner and approvers. */
export type SessionAccess = 'own' | 'read' | 'end';

const ROLE = { own: undefined, read: 'auditor', end: 'approver' } as const satisfies Record<
  SessionAccess,
  string | undefined
>;

/** @throws HOOP_SESSION_UNKNOWN when there is none or it is somebody else's. */
export function requireSession(
  index: SessionIndex,
  principal: Principal,
  id: string,
  access: SessionAccess,
): IndexedSession {
  const session = isSessionId(id) ? index.find(id) : undefined;
  const role = ROLE[access];
  const isOwner = session?.issuer === principal.issuer && session.sub === principal.sub;
  if (session === undefined || !(isOwner || (role && principal.roles.includes(role)))) {
    throw new HoopError('HOOP_SESSION_UNKNOWN', 'there is no such session', {
      hint: '`hoop sessions list` shows those that you may see.',
    });
  }
  return session;
}

/** Whose sessions are listed: everybody's for auditors; the live ones for who may end them, too. */
export function maySeeAll({ roles }: Principal, live: boolean): boolean {
  return roles.includes(ROLE.read) || (live && roles.includes(ROLE.end));
}
