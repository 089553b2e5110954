/** Requests and votes in the gateway's store. */
import * as z from 'zod';
import { APPROVAL_KINDS, APPROVAL_STATES, type ApprovalState } from '../../api/approvals.ts';
import type { Identified } from '../../policy/match.ts';
import type { PersonMarks } from '../identity/same-person.ts';
import { LoginClaims } from '../identity/tokens/login-claims.ts';
import { tellNodes } from '../nodes/node-changes.ts';
import {
  all,
  change,
  get,
  integer,
  locking,
  nullable,
  optionalText,
  type Row,
  type Sql,
  type Store,
  sql,
  text,
  type Work,
} from '../store/store.ts';
import type { ApprovalRecord, Party, Vote } from './approval-record.ts';
import type { SealedJson } from './sealed-json.ts';

const Needs = z.array(
  z.object({ rule: z.string(), groups: z.array(z.string()), count: z.number() }),
);
const Groups = z.array(z.string());
/** Of a login: what says who may decide. */
const Claims = z.union([
  z.object({ kind: z.literal('workload') }),
  LoginClaims.pick({ email: true, emailVerified: true, subject: true, groups: true }),
]);
const Kind = z.enum(APPROVAL_KINDS);
const State = z.enum(APPROVAL_STATES);
const Decision = z.enum(['approve', 'deny']);

/** Somebody who has logged in, as policies know them. */
export interface PersonLogin extends Identified, PersonMarks {
  readonly kind: 'person';
}

export interface ApprovalMove {
  readonly state: ApprovalState;
  readonly usableUntilMs?: number | undefined;
  readonly endedMs?: number | undefined;
  readonly outcome?: string | undefined;
}

/** Its methods are steps of transactions; `run` makes one of them. */
export class ApprovalStore {
  readonly #store: Store;
  readonly #sealed: SealedJson;

  constructor(store: Store, sealed: SealedJson) {
    this.#store = store;
    this.#sealed = sealed;
  }

  /** @throws what the store says: then nothing was changed. */
  run<T>(work: () => Work<T>): Promise<T> {
    return this.#store.transaction(work);
  }

  /** Others who ask for somebody wait until this transaction is over: what may be open is counted. */
  *lockRequester({ issuer, sub }: Party): Work<void> {
    yield* all(LOCK_REQUESTER, { key: JSON.stringify(['approvals', issuer, sub]) });
  }

  *insert(record: ApprovalRecord, details: unknown): Work<void> {
    const { requester } = record;
    yield* change(INSERT, {
      id: record.id,
      node: record.node,
      kind: record.kind,
      state: record.state,
      issuer: requester.issuer,
      sub: requester.sub,
      name: requester.name,
      ...storedMarks(requester),
      agent: nullable(record.agent),
      requestedFor: nullable(record.requestedFor),
      target: record.target,
      reason: nullable(record.reason),
      session: nullable(record.session),
      run: nullable(record.run),
      diesWithConnection: record.diesWithConnection ? 1 : 0,
      needs: JSON.stringify(record.needs),
      policyCommit: record.policyCommit,
      binding: record.binding,
      createdMs: record.createdMs,
      waitsUntilMs: record.waitsUntilMs,
      usableSeconds: record.usableSeconds,
      details: this.#sealed.seal(details, record.id),
    });
    yield* tellNodes('approvals');
  }

  *find(id: string): Work<ApprovalRecord | undefined> {
    const rows = yield* all(FIND, { id });
    const [record] = recordsOf(rows, yield* all(VOTES, { id }));
    return record;
  }

  /** Nobody else changes it, or votes, until the transaction is over. */
  *findLocked(id: string): Work<ApprovalRecord | undefined> {
    const rows = yield* all(FIND_LOCKED, { id });
    // After the lock: they are those of now.
    const [record] = recordsOf(rows, yield* all(VOTES, { id }));
    return record;
  }

  *details(id: string): Work<unknown> {
    const sealed = (yield* get(DETAILS, { id }))?.['details'];
    return sealed instanceof Uint8Array ? this.#sealed.open(sealed, id) : undefined;
  }

  *setDetails(id: string, details: unknown): Work<void> {
    yield* change(SET_DETAILS, { id, details: this.#sealed.seal(details, id) });
    yield* tellNodes('approvals');
  }

  *open(): Work<ApprovalRecord[]> {
    const rows = yield* all(OPEN_ONES);
    return rows.length === 0 ? [] : recordsOf(rows, yield* all(VOTES_OF_OPEN));
  }

  *countWaiting(): Work<number> {
    return integer((yield* get(COUNT_WAITING))?.['n']);
  }

  /** Wall clock, ms: when the first of the open ones is over; undefined: there is none. */
  *firstDeadline(): Work<number | undefined> {
    const ms = (yield* get(FIRST_DEADLINE))?.['ms'];
    return ms === null || ms === undefined ? undefined : integer(ms);
  }

  /** Newest first. */
  *newest(limit: number): Work<ApprovalRecord[]> {
    const rows = yield* all(NEWEST, { limit });
    return recordsOf(rows, yield* all(VOTES_OF_NEWEST, { limit }));
  }

  /** Of this person and with this binding, newest first. */
  *bound({ issuer, sub }: Party, binding: string): Work<ApprovalRecord[]> {
    const rows = yield* all(BOUND, { issuer, sub, binding });
    return recordsOf(rows, yield* all(VOTES_OF_BOUND, { issuer, sub, binding }));
  }

  *vote(id: string, vote: Vote): Work<void> {
    const { by, decision, reason, atMs, groups } = vote;
    yield* change(VOTE, {
      id,
      issuer: by.issuer,
      sub: by.sub,
      name: by.name,
      ...storedMarks(by),
      groups: JSON.stringify(groups),
      decision,
      reason: nullable(reason),
      atMs,
    });
    yield* tellNodes('approvals');
  }

  /** @returns whether it was in `from` until now. */
  *move(id: string, from: ApprovalState, to: ApprovalMove): Work<boolean> {
    const { state, usableUntilMs, endedMs, outcome } = to;
    const moved = yield* change(MOVE, {
      id,
      from,
      state,
      usableUntilMs: nullable(usableUntilMs),
      endedMs: nullable(endedMs),
      outcome: nullable(outcome),
    });
    if (moved === 1) yield* tellNodes('approvals');
    return moved === 1;
  }

  /** Forgets what ended before `beforeMs`, and the oldest of the ended beyond `keep`. */
  *prune(beforeMs: number, keep: number): Work<void> {
    yield* change(PRUNE_OLD, { beforeMs });
    yield* change(PRUNE_MANY, { keep });
  }

  /** The newest login of a person; undefined: there is none any more. */
  *latestLogin({ issuer, sub }: Party): Work<PersonLogin | undefined> {
    const row = yield* get(LATEST_LOGIN, { issuer, sub });
    return row === undefined ? undefined : personLogin(row);
  }

  /** Of each person that this gateway knows, the newest. */
  *newestLogins(): Work<PersonLogin[]> {
    return (yield* all(NEWEST_LOGINS)).map(personLogin).filter((login) => login !== undefined);
  }
}

/** @param votes of these, and perhaps of others, in their order */
function recordsOf(rows: readonly Row[], votes: readonly Row[]): ApprovalRecord[] {
  const byRequest = Map.groupBy(votes, (vote) => text(vote['approval']));
  return rows.map((row) => recordOf(row, byRequest.get(text(row['id'])) ?? []));
}

/** @param row with `RECORD`, of a request */
export function recordOf(row: Row, votes: readonly Row[]): ApprovalRecord {
  const optional = (name: string): number | undefined =>
    row[name] === null ? undefined : integer(row[name]);
  return {
    id: text(row['id']),
    node: text(row['node']),
    kind: Kind.parse(row['kind']),
    state: State.parse(row['state']),
    requester: partyOf(row),
    agent: optionalText(row['agent']),
    requestedFor: optionalText(row['requested_for']),
    target: text(row['target']),
    reason: optionalText(row['reason']),
    session: optionalText(row['session']),
    run: optionalText(row['run']),
    diesWithConnection: integer(row['dies_with_connection']) === 1,
    needs: Needs.parse(JSON.parse(text(row['needs']))),
    policyCommit: text(row['policy_commit']),
    binding: text(row['binding']),
    createdMs: integer(row['created_ms']),
    waitsUntilMs: integer(row['waits_until_ms']),
    usableSeconds: integer(row['usable_seconds']),
    usableUntilMs: optional('usable_until_ms'),
    endedMs: optional('ended_ms'),
    outcome: optionalText(row['outcome']),
    votes: votes.map(voteOf),
  };
}

/** @returns undefined for a workload: its groups are the policy's, and it decides about nothing */
function personLogin(row: Row): PersonLogin | undefined {
  const claims = Claims.parse(JSON.parse(text(row['claims'])));
  if ('kind' in claims) {
    return undefined;
  }
  const { email, emailVerified, subject, groups } = claims;
  return {
    kind: 'person',
    issuer: text(row['issuer']),
    sub: text(row['sub']),
    email,
    ...(subject === undefined ? {} : { subject: subject.value }),
    ...(email === undefined || emailVerified !== true ? {} : { verifiedEmail: email }),
    groups,
  };
}

function storedMarks({ subject, verifiedEmail, loginKey }: PersonMarks) {
  return {
    subject: nullable(subject),
    verifiedEmail: nullable(verifiedEmail),
    loginKey: nullable(loginKey),
  };
}

function partyOf(row: Row): Party {
  const subject = optionalText(row['subject']);
  const verifiedEmail = optionalText(row['verified_email']);
  const loginKey = optionalText(row['login_key']);
  return {
    issuer: text(row['issuer']),
    sub: text(row['sub']),
    name: text(row['name']),
    ...(subject === undefined ? {} : { subject }),
    ...(verifiedEmail === undefined ? {} : { verifiedEmail }),
    ...(loginKey === undefined ? {} : { loginKey }),
  };
}

function voteOf(row: Row): Vote {
  return {
    by: partyOf(row),
    decision: Decision.parse(row['decision']),
    reason: optionalText(row['reason']),
    atMs: integer(row['time_ms']),
    groups: Groups.parse(JSON.parse(text(row['voter_groups']))),
  };
}

export const RECORD = `id, node, kind, state, issuer, sub, name, subject, verified_email, login_key, agent, requested_for, target, reason, session, run,
  dies_with_connection, needs, policy_commit, binding, created_ms, waits_until_ms, usable_seconds,
  usable_until_ms, ended_ms, outcome`;
const OPEN = "state IN ('waiting', 'approved')";

const INSERT = sql(
  `INSERT INTO approvals (id, node, kind, state, issuer, sub, name, subject, verified_email, login_key,
     agent, requested_for, target, reason, session, run, dies_with_connection, needs, policy_commit,
     binding, created_ms, waits_until_ms, usable_seconds, details)
   VALUES ($id, $node, $kind, $state, $issuer, $sub, $name, $subject, $verifiedEmail, $loginKey, $agent,
     $requestedFor, $target, $reason, $session, $run, $diesWithConnection, $needs, $policyCommit,
     $binding, $createdMs, $waitsUntilMs, $usableSeconds, $details)`,
);
/** SQLite has one writer. */
const LOCK_REQUESTER = sql(
  'SELECT 1',
  'SELECT 1 FROM pg_advisory_xact_lock(hashtextextended($key, 0))',
);
const FIND = sql(`SELECT ${RECORD} FROM approvals WHERE id = $id`);
const FIND_LOCKED = locking(`SELECT ${RECORD} FROM approvals WHERE id = $id`, 'FOR UPDATE');
const DETAILS = sql('SELECT details FROM approvals WHERE id = $id');
const SET_DETAILS = sql('UPDATE approvals SET details = $details WHERE id = $id');
const OPEN_ONES = sql(
  `SELECT ${RECORD} FROM approvals WHERE ${OPEN} ORDER BY created_ms DESC, rowid DESC`,
);
const COUNT_WAITING = sql("SELECT count(*) AS n FROM approvals WHERE state = 'waiting'");
const FIRST_DEADLINE = sql(
  `SELECT min(CASE state WHEN 'waiting' THEN waits_until_ms ELSE coalesce(usable_until_ms, 0) END) AS ms
   FROM approvals WHERE ${OPEN}`,
);
const NEWEST_IDS = 'FROM approvals ORDER BY created_ms DESC, id LIMIT $limit';
const NEWEST = sql(`SELECT ${RECORD} ${NEWEST_IDS}`);
const BOUND_IDS = `FROM approvals WHERE issuer = $issuer AND sub = $sub AND binding = $binding
  ORDER BY created_ms DESC, rowid DESC LIMIT 5`;
const BOUND = sql(`SELECT ${RECORD} ${BOUND_IDS}`);

const votesOf = (ids: string): Sql =>
  sql(`SELECT * FROM approval_votes WHERE approval IN (${ids}) ORDER BY time_ms, rowid`);
const VOTES = votesOf('$id');
const VOTES_OF_OPEN = votesOf(`SELECT id FROM approvals WHERE ${OPEN}`);
const VOTES_OF_NEWEST = votesOf(`SELECT id ${NEWEST_IDS}`);
const VOTES_OF_BOUND = votesOf(`SELECT id ${BOUND_IDS}`);

const VOTE = sql(
  `INSERT INTO approval_votes (approval, issuer, sub, name, subject, verified_email, login_key,
     voter_groups, decision, reason, time_ms)
   VALUES ($id, $issuer, $sub, $name, $subject, $verifiedEmail, $loginKey, $groups, $decision,
     $reason, $atMs)`,
);
const MOVE = sql(
  `UPDATE approvals SET state = $state,
     usable_until_ms = coalesce(CAST($usableUntilMs AS BIGINT), usable_until_ms),
     ended_ms = $endedMs, outcome = $outcome
   WHERE id = $id AND state = $from`,
);
/** Those of sessions are kept for as long as these: what ran says by whose word. */
const OF_NO_SESSION = `NOT EXISTS (SELECT 1 FROM sessions WHERE sessions.id = approvals.session)
  AND NOT EXISTS (SELECT 1 FROM session_grants WHERE temporary_grant = approvals.id)`;
const PRUNE_OLD = sql(`DELETE FROM approvals WHERE ended_ms < $beforeMs AND ${OF_NO_SESSION}`);
const ENDED_IDS = `SELECT rowid FROM approvals WHERE ended_ms IS NOT NULL AND ${OF_NO_SESSION}
  ORDER BY ended_ms DESC`;
const PRUNE_MANY = sql(
  `DELETE FROM approvals WHERE rowid IN (${ENDED_IDS} LIMIT -1 OFFSET $keep)`,
  `DELETE FROM approvals WHERE rowid IN (${ENDED_IDS} OFFSET $keep)`,
);
const LATEST_LOGIN = sql(
  `SELECT issuer, sub, claims FROM refresh_families WHERE issuer = $issuer AND sub = $sub
   ORDER BY created_ms DESC, rowid DESC LIMIT 1`,
);
const NEWEST_LOGINS = sql(
  `SELECT issuer, sub, claims FROM (
     SELECT issuer, sub, claims, row_number() OVER (
       PARTITION BY issuer, sub ORDER BY created_ms DESC, rowid DESC) AS place
     FROM refresh_families) AS logins
   WHERE place = 1`,
);
