/** What events say of a login that begins or ends: whose it is, and never what it was proved with. */
import * as z from 'zod';
import type { EventParty } from '../../api/events.ts';
import type { ErrorCode } from '../../errors.ts';
import type { AuditEvents, NewEvent } from '../events/audit-events.ts';
import { eventLogin, eventParty } from '../events/event-party.ts';
import type { LoginEnd, RefreshFamily } from './identity-store.ts';
import type { RefusedLogin } from './refused-login.ts';
import { RunOfLogin } from './run-of-login.ts';

/** Of a workload its name is the policy's; who it is stands in its sub. */
const Claims = z.object({ kind: z.literal('workload').optional(), name: z.string().optional() });

/** What its own version of hoop did not write is not known. */
const Run = RunOfLogin.partial();

export function loginBegun(family: RefreshFamily, from: string | undefined): NewEvent {
  const { who, run, login } = loginOf(family);
  if (run === undefined) return { type: 'login', who, from, login };
  const { id = '', parent: parentRun, program } = run;
  return { type: 'run.begin', who, from, login, run: id, parentRun, program };
}

export function loginEnded(family: RefreshFamily, { how, by, from }: LoginEnd): NewEvent {
  const { who, run, login } = loginOf(family);
  const ended = { who, by, from, login, how };
  return run === undefined
    ? { type: 'login.ended', ...ended }
    : { type: 'run.end', ...ended, run: run.id };
}

/**
 * Who it is only where their provider says so: what an unknown sender writes into a token stands in
 * the log. All of these share one limit, each of the others has their own.
 */
export function tellRefusedLogin(
  events: Pick<AuditEvents, 'tellLimited'>,
  code: ErrorCode,
  { user, issuer, sub, verified, from }: RefusedLogin,
): void {
  const who =
    verified === true && issuer !== undefined && sub !== undefined
      ? { issuer, sub, name: user ?? sub }
      : undefined;
  const scope = who === undefined ? 'login' : JSON.stringify(['login', issuer, sub]);
  const event = { type: 'login.refused', who, from, code } as const;
  events.tellLimited(scope, `${code} ${from}`, event);
}

function loginOf(family: RefreshFamily) {
  const { kind, name } = Claims.parse(JSON.parse(family.claims));
  const { issuer, sub } = family;
  const run = family.run === undefined ? undefined : Run.parse(JSON.parse(family.run));
  const who: EventParty = eventParty({
    kind: kind ?? 'person',
    ...{ issuer, sub, name: name ?? sub },
    ...(run?.agent === undefined ? {} : { agent: run.agent }),
  });
  return { who, run, login: eventLogin(family.id) };
}
