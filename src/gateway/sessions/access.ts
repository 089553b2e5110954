/** Who may see and do what with a session. What one may not see does not exist for one. */
import { HoopError } from '../../errors.ts';
import type { Principal } from '../../policy/types.ts';
import { isSessionId } from '../../session-id.ts';
import type { Authenticated } from '../identity/identity.ts';
import type { IndexedSession } from '../index/indexed-session.ts';
import type { SessionIndex } from '../index/session-index.ts';

/**
 * own: what only the owner's client does. read: its recording; owner and auditors. end: owner and
 * approvers. show: what lists say of it; also approvers while it is live, and whoever may decide
 * about a request of it that is open.
 */
export type SessionAccess = 'own' | 'read' | 'end' | 'show';

const ROLE = {
  own: undefined,
  read: 'auditor',
  end: 'approver',
  show: 'auditor',
} as const satisfies Record<SessionAccess, string | undefined>;

export interface SessionRights {
  readonly index: SessionIndex;
  /** Ids of the sessions whose open requests somebody may decide about. */
  readonly decides: (principal: Principal) => Promise<ReadonlySet<string>>;
}

/**
 * @throws HOOP_SESSION_UNKNOWN when there is none or it is somebody else's; HOOP_ACCESS_DENIED when
 * its recording is asked for by somebody who may know of it and no more.
 */
export async function requireSession(
  { index, decides }: SessionRights,
  { principal, run }: Pick<Authenticated, 'principal' | 'run'>,
  id: string,
  access: SessionAccess,
): Promise<IndexedSession> {
  const session = isSessionId(id) ? await index.find(id) : undefined;
  if (session === undefined) {
    throw unknown();
  }
  const { issuer, sub } = principal;
  const isLive = session.summary.state === 'live';
  // A run has its own sessions, and knows of no others of whoever started it.
  if (run !== undefined && session.summary.run !== run.id) {
    throw unknown();
  }
  const isOwn = session.issuer === issuer && session.sub === sub;
  // Of what has ended an approver knows nothing, and must not learn it by trying to end it.
  const byRole = hasRole(principal, ROLE[access]) && (access !== 'end' || isLive);
  if (isOwn || byRole) {
    return session;
  }
  const maySee = (isLive && hasRole(principal, ROLE.end)) || (await decides(principal)).has(id);
  if (maySee && access === 'show') {
    return session;
  }
  if (access === 'end' && (maySee || hasRole(principal, ROLE.show))) {
    throw new HoopError('HOOP_ACCESS_DENIED', 'you may not end this session', {
      detail: 'Its owner and approvers can.',
    });
  }
  if (maySee && access === 'read') {
    throw new HoopError('HOOP_ACCESS_DENIED', 'you may not read the recording of this session', {
      detail: 'Its owner and auditors can.',
      hint: `See its details with \`hoop sessions show ${id}\`.`,
    });
  }
  throw unknown();
}

/** Whose sessions are listed: everybody's for auditors; the live ones for who may end them, too. */
export function maySeeAll(principal: Principal, live: boolean): boolean {
  return hasRole(principal, ROLE.read) || (live && hasRole(principal, ROLE.end));
}

/** Events name sessions of others, and hold nothing of what was said in them. */
export function maySeeEvents(principal: Principal): boolean {
  return maySeeAll(principal, true) || hasRole(principal, 'observer');
}

function hasRole({ roles }: Principal, role: string | undefined): boolean {
  return role !== undefined && roles.includes(role);
}

function unknown(): HoopError {
  return new HoopError('HOOP_SESSION_UNKNOWN', 'there is no such session', {
    detail:
      'Or you may not see it: its owner and auditors see a session, approvers while it is live (`--live`), and whoever may decide on one of its requests while that waits.',
    hint: '`hoop sessions list` shows the sessions that you may see.',
  });
}
