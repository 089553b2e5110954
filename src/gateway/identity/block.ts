/** Somebody, or an agent, is kept out: at once, whatever the policy says. */
import { HoopError } from '../../errors.ts';
import type { Principal } from '../../policy/types.ts';
import { plainText } from '../base/plain-text.ts';
import { utcTime } from '../base/utc-time.ts';
import { isSamePerson, type PersonMarks } from './same-person.ts';

/** More than a reason may have. */
const MAX_SAID = 4000;

/** Without keys: who shares a machine with somebody is not kept out with them. */
type Subject = Omit<PersonMarks, 'loginKey'>;

/** What of somebody a block may name. */
export type BlockedAs = Subject &
  Pick<Principal, 'name'> &
  Partial<Pick<Principal, 'email' | 'requester' | 'agent'>>;

export interface Block {
  readonly id: string;
  readonly kind: 'login' | 'agent';
  /** As it was typed: e-mail address, name or subject of a login; name of an agent. */
  readonly who: string;
  /** Logins that bore that name when it was made: a new name at the provider is no way out. */
  readonly subjects: readonly Subject[];
  /** undefined: everything, the login itself included. */
  readonly target: string | undefined;
  readonly reason: string;
  readonly by: Pick<Principal, 'issuer' | 'sub' | 'name'>;
  readonly createdMs: number;
  /** undefined: until it is lifted. */
  readonly expiresMs: number | undefined;
  readonly lifted: { readonly ms: number; readonly by: string } | undefined;
}

/** Whether it speaks of this principal, whatever its target. */
export function meansPrincipal(
  block: Pick<Block, 'kind' | 'who' | 'subjects'>,
  principal: BlockedAs,
): boolean {
  if (block.kind === 'agent') {
    return principal.agent === block.who;
  }
  const who = block.who.toLowerCase();
  const { sub, subject, name, email, requester } = principal;
  const marks = blockedMarks(principal);
  return (
    block.subjects.some((one) => isSamePerson(one, marks)) ||
    // Rather one namesake too many, who can be let in again, than one login too few.
    [sub, subject, name, email, requester].some((text) => text?.toLowerCase() === who)
  );
}

export function blockedMarks(someone: Subject): Subject {
  const { issuer, sub, subject, verifiedEmail } = someone;
  return {
    issuer,
    sub,
    ...(subject === undefined ? {} : { subject }),
    ...(verifiedEmail === undefined ? {} : { verifiedEmail }),
  };
}

/** For whoever is kept out, sessions that end by it, and their recordings. */
export function blockText({ id, kind, who, target, by, reason }: Block): string {
  // Read long afterwards, too, when the block may have been lifted: it says what happened.
  const what = kind === 'agent' ? `agent ${who} was blocked` : 'blocked';
  const where = target === undefined ? '' : ` on target ${target}`;
  return plainText(`${what}${where} by ${by.name}: ${reason} (block ${id})`, MAX_SAID);
}

export function blockedError(block: Block): HoopError {
  const { kind, who, target, by, reason, expiresMs, id } = block;
  const where = target === undefined ? '' : ` on target "${target}"`;
  const until = expiresMs === undefined ? 'until it is lifted' : `until ${utcTime(expiresMs)}`;
  return new HoopError(
    'HOOP_ACCESS_BLOCKED',
    kind === 'agent' ? `agent "${who}" is blocked${where}` : `you are blocked${where}`,
    {
      detail: plainText(
        `${by.name} blocked ${kind === 'agent' ? 'it' : 'you'} ${until}: ${reason}`,
        MAX_SAID,
      ),
      hint: `An approver can lift it: \`hoop access unblock ${id}\`.`,
    },
  );
}
