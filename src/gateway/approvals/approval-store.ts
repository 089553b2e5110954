/** Requests and votes in the index. Every write is durable when the call returns. */
import * as z from 'zod';
import { APPROVAL_KINDS, APPROVAL_STATES, type ApprovalState } from '../../api/approvals.ts';
import type { Identified } from '../../policy/match.ts';
import { LoginClaims } from '../identity/login-claims.ts';
import type { PersonMarks } from '../identity/same-person.ts';
import { type IndexStore, integer, nullable, optionalText, text } from '../index/index-store.ts';
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

type Row = Record<string, unknown>;

export class ApprovalStore {
  readonly #store: IndexStore;
  readonly #sealed: SealedJson;
  readonly #statements: ReturnType<typeof prepareAll>;

  constructor(store: IndexStore, sealed: SealedJson) {
    this.#store = store;
    this.#sealed = sealed;
    this.#statements = prepareAll(store);
  }

  transaction<T>(work: () => T): T {
    return this.#store.transaction(work);
  }

  insert(record: ApprovalRecord, details: unknown): void {
    const { requester } = record;
    this.#statements.insert.run(
      record.id,
      record.kind,
      record.state,
      requester.issuer,
      requester.sub,
      requester.name,
      ...storedMarks(requester),
      nullable(record.agent),
      nullable(record.requestedFor),
      record.target,
      nullable(record.reason),
      nullable(record.session),
      nullable(record.run),
      record.diesWithConnection ? 1 : 0,
      JSON.stringify(record.needs),
      record.policyCommit,
      record.binding,
      record.createdMs,
      record.waitsUntilMs,
      record.usableSeconds,
      this.#sealed.seal(details, record.id),
    );
  }

  find(id: string): ApprovalRecord | undefined {
    const row = this.#statements.find.get(id);
    return row && this.#record(row);
  }

  details(id: string): unknown {
    const sealed = this.#statements.details.get(id)?.['details'];
    return sealed instanceof Uint8Array ? this.#sealed.open(sealed, id) : undefined;
  }

  setDetails(id: string, details: unknown): void {
    this.#statements.setDetails.run(this.#sealed.seal(details, id), id);
  }

  open(): ApprovalRecord[] {
    return this.#statements.open.all().map((row) => this.#record(row));
  }

  /** Newest first. */
  newest(limit: number): ApprovalRecord[] {
    return this.#statements.newest.all(limit).map((row) => this.#record(row));
  }

  /** Of this person and with this binding, newest first. */
  bound(requester: Party, binding: string): ApprovalRecord[] {
    return this.#statements.bound
      .all(requester.issuer, requester.sub, binding)
      .map((row) => this.#record(row));
  }

  vote(id: string, vote: Vote): void {
    const { by, decision, reason, atMs, groups } = vote;
    this.#statements.vote.run(
      id,
      by.issuer,
      by.sub,
      by.name,
      ...storedMarks(by),
      JSON.stringify(groups),
      decision,
      nullable(reason),
      atMs,
    );
  }

  /** @returns whether it was in `from` until now. */
  move(
    id: string,
    from: ApprovalState,
    to: {
      readonly state: ApprovalState;
      readonly usableUntilMs?: number | undefined;
      readonly endedMs?: number | undefined;
      readonly outcome?: string | undefined;
    },
  ): boolean {
    const { state, usableUntilMs, endedMs, outcome } = to;
    const moved = this.#statements.move.run(
      state,
      nullable(usableUntilMs),
      nullable(endedMs),
      nullable(outcome),
      id,
      from,
    );
    return moved.changes === 1;
  }

  /** Forgets what ended before `beforeMs`, and the oldest of the ended beyond `keep`. */
  prune(beforeMs: number, keep: number): void {
    this.#statements.pruneOld.run(beforeMs);
    this.#statements.pruneMany.run(keep);
  }

  /** The newest login of a person; undefined: there is none any more. */
  latestLogin({ issuer, sub }: Party): PersonLogin | undefined {
    const row = this.#statements.latestLogin.get(issuer, sub);
    return row === undefined ? undefined : personLogin(row);
  }

  /** Of each person that this gateway knows, the newest. */
  newestLogins(): PersonLogin[] {
    return this.#statements.newestLogins
      .all()
      .map(personLogin)
      .filter((login) => login !== undefined);
  }

  #record(row: Row): ApprovalRecord {
    const id = text(row['id']);
    const optional = (name: string): number | undefined =>
      row[name] === null ? undefined : integer(row[name]);
    return {
      id,
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
      votes: this.#statements.votes.all(id).map(voteOf),
    };
  }
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

/** In the order of the columns subject, verified_email, login_key. */
function storedMarks({ subject, verifiedEmail, loginKey }: PersonMarks) {
  return [nullable(subject), nullable(verifiedEmail), nullable(loginKey)] as const;
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

const RECORD = `id, kind, state, issuer, sub, name, subject, verified_email, login_key, agent, requested_for, target, reason, session, run,
  dies_with_connection, needs, policy_commit, binding, created_ms, waits_until_ms, usable_seconds,
  usable_until_ms, ended_ms, outcome`;
const OPEN = "state IN ('waiting', 'approved')";

function prepareAll({ database }: IndexStore) {
  const prepare = (sql: string) => database.prepare(sql);
  return {
    insert: prepare(
      `INSERT INTO approvals (id, kind, state, issuer, sub, name, subject, verified_email,
         login_key, agent, requested_for, target, reason, session, run, dies_with_connection, needs, policy_commit, binding, created_ms, waits_until_ms,
         usable_seconds, details) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    find: prepare(`SELECT ${RECORD} FROM approvals WHERE id = ?`),
    details: prepare('SELECT details FROM approvals WHERE id = ?'),
    setDetails: prepare('UPDATE approvals SET details = ? WHERE id = ?'),
    open: prepare(`SELECT ${RECORD} FROM approvals WHERE ${OPEN} ORDER BY created_ms DESC`),
    newest: prepare(`SELECT ${RECORD} FROM approvals ORDER BY created_ms DESC, id LIMIT ?`),
    bound: prepare(
      `SELECT ${RECORD} FROM approvals WHERE issuer = ? AND sub = ? AND binding = ?
       ORDER BY created_ms DESC, rowid DESC LIMIT 5`,
    ),
    votes: prepare('SELECT * FROM approval_votes WHERE approval = ? ORDER BY time_ms, rowid'),
    vote: prepare(
      `INSERT INTO approval_votes (approval, issuer, sub, name, subject, verified_email, login_key,
         voter_groups, decision, reason, time_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    move: prepare(
      `UPDATE approvals SET state = ?, usable_until_ms = coalesce(?, usable_until_ms),
         ended_ms = ?, outcome = ? WHERE id = ? AND state = ?`,
    ),
    pruneOld: prepare(`DELETE FROM approvals WHERE ended_ms < ?`),
    pruneMany: prepare(
      `DELETE FROM approvals WHERE rowid IN
         (SELECT rowid FROM approvals WHERE ended_ms IS NOT NULL
          ORDER BY ended_ms DESC LIMIT -1 OFFSET ?)`,
    ),
    latestLogin: prepare(
      `SELECT issuer, sub, claims FROM refresh_families WHERE issuer = ? AND sub = ?
       ORDER BY created_ms DESC, rowid DESC LIMIT 1`,
    ),
    // With max() SQLite gives the other columns of that row.
    newestLogins: prepare(
      'SELECT issuer, sub, claims, max(created_ms) FROM refresh_families GROUP BY issuer, sub',
    ),
  };
}
