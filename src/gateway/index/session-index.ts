/** Sessions, statements and cuts in the index. */
import type { StatementSync } from 'node:sqlite';
import type { SessionSummary } from '../../api/sessions.ts';
import { requesterClaim } from '../../policy/actor-name.ts';
import type { Principal } from '../../policy/types.ts';
import type { CutProposal, EndReason, RecordingEvent } from '../../recording/types.ts';
import { type IndexStore, integer, nullable, optionalText, text } from './index-store.ts';
import { StatementIndex } from './statement-index.ts';

export interface NewSession {
  readonly id: string;
  readonly target: string;
  readonly kind: string;
  readonly principal: Principal;
  readonly family: string;
  readonly run: string | undefined;
  /** The run that that one was started in. */
  readonly parentRun: string | undefined;
  /** Name of the run's program. */
  readonly program: string | undefined;
  readonly reason: string | undefined;
  readonly policyCommit: string;
  readonly recording: string;
  readonly clientVersion: string;
  readonly startedMs: number;
  readonly expiresMs: number;
}

export interface SessionEnd {
  readonly endedMs: number;
  readonly reason: EndReason;
  readonly message: string | undefined;
  readonly upBytes: number;
  readonly downBytes: number;
}

/** In the details of one session. */
const MAX_COLUMNS = 200;

/** A summary with what decides who may see it. */
export interface IndexedSession {
  readonly summary: SessionSummary;
  readonly issuer: string;
  readonly sub: string;
  readonly endedMs: number | undefined;
}

export interface SessionQuery {
  /** Only this person's; undefined: everybody's. */
  readonly owner: { readonly issuer: string; readonly sub: string } | undefined;
  /** Only this run's. */
  readonly run?: string | undefined;
  readonly target: string | undefined;
  /** Only those that have not ended. */
  readonly live?: boolean;
  readonly limit: number;
}

export class SessionIndex {
  readonly #statements: ReturnType<typeof prepareAll>;
  readonly #statementIndex: StatementIndex;
  readonly #clock: () => number;
  readonly #onFault: (error: unknown) => void;
  /** Ends that could not be written, e.g. to a full disk. While that is so no session begins, so they are few. */
  readonly #unwritten = new Map<string, SessionEnd>();

  /** @param doesActs of sessions on targets of such a kind an act is no statement */
  constructor(
    store: IndexStore,
    clock: () => number,
    onFault: (error: unknown) => void,
    doesActs: (kind: string) => boolean,
  ) {
    this.#onFault = onFault;
    this.#statements = prepareAll(store);
    this.#clock = clock;
    this.#statementIndex = new StatementIndex(store, clock, onFault, doesActs);
  }

  start(session: NewSession): void {
    this.#statements.start.run(
      session.id,
      session.target,
      session.kind,
      session.principal.kind,
      session.principal.issuer,
      session.principal.sub,
      session.principal.name,
      nullable(session.principal.subject),
      nullable(session.principal.verifiedEmail),
      session.family,
      nullable(session.reason),
      nullable(session.principal.agent),
      session.principal.isAgent === true ? 1 : 0,
      nullable(session.principal.requester),
      nullable(session.run),
      nullable(session.parentRun),
      nullable(session.program),
      session.policyCommit,
      session.recording,
      session.clientVersion,
      session.startedMs,
      session.expiresMs,
    );
  }

  /**
   * Statements that cannot be written do not keep the session `live`; an end that cannot is written
   * with the next flush.
   * @throws what SQLite says
   */
  end(id: string, end: SessionEnd): void {
    this.#unwritten.set(id, end);
    try {
      this.#statementIndex.flush();
    } catch (error) {
      this.#onFault(error);
    }
    this.#writeEnds();
  }

  #writeEnds(): void {
    for (const [id, end] of this.#unwritten) {
      this.#statements.end.run(
        end.endedMs,
        end.reason,
        nullable(end.message),
        end.upBytes,
        end.downBytes,
        end.reason === 'disputed' ? 'disputed' : 'ended',
        id,
      );
      this.#unwritten.delete(id);
    }
  }

  /** What a program shows on its terminal is being recorded. */
  terminal(id: string): void {
    this.#statements.terminal.run(id);
  }

  /** Both sides have signed the manifest. */
  uploaded(id: string, manifestSha256: string): void {
    this.#statements.uploaded.run(manifestSha256, id);
  }

  /** The gateway has signed alone, because the client did not come or did not agree. */
  signedAlone(id: string, manifestSha256: string): void {
    this.#statements.signedAlone.run(manifestSha256, id);
  }

  /** Sessions without a manifest that ended before `endedBeforeMs`, and all disputed ones. */
  withoutManifest(endedBeforeMs: number): string[] {
    return this.#statements.withoutManifest.all(endedBeforeMs).map((row) => text(row['id']));
  }

  cut(session: string, cut: CutProposal): void {
    this.#statements.cut.run(session, cut.epoch, cut.treeSize, cut.root, cut.timeMs);
  }

  /** Decisions and results of statements, lookups, and temporary grants; other events are not indexed. */
  event(session: string, event: RecordingEvent): void {
    if (event.type === 'access' && event.change === 'given') {
      this.#statements.access.run(session, event.grant, this.#clock());
    }
    if (event.type === 'lookups') {
      this.#lookedUp(session, event.candidates);
    }
    this.#statementIndex.event(session, event);
  }

  /** For lists alone: the budget has a count of its own, and the recording has each of them. */
  #lookedUp(session: string, candidates: number): void {
    try {
      this.#statements.lookups.run(candidates, session);
    } catch (error) {
      this.#onFault(error);
    }
  }

  /** Writes what is pending. @throws what SQLite says. */
  flush(): void {
    this.#statementIndex.flush();
    this.#writeEnds();
  }

  /** For whoever only reads, or comes by: what cannot be written is reported and tried again. */
  tryFlush(): void {
    try {
      this.flush();
    } catch (error) {
      this.#onFault(error);
    }
  }

  find(id: string): IndexedSession | undefined {
    this.tryFlush();
    const row = this.#statements.find.get(id);
    return row && this.#indexed(row);
  }

  list(query: SessionQuery): IndexedSession[] {
    this.tryFlush();
    const rows = this.#statements.list.all({
      issuer: nullable(query.owner?.issuer),
      sub: nullable(query.owner?.sub),
      run: nullable(query.run),
      target: nullable(query.target),
      live: query.live === true ? 1 : 0,
      limit: query.limit,
    });
    return rows.map((row) => this.#indexed(row));
  }

  #indexed(row: Record<string, unknown>): IndexedSession {
    const session = indexedSession(row);
    const rows = this.#statements.grants.all(session.summary.id);
    const grants = rows.map((grant) => text(grant['temporary_grant']));
    return grants.length === 0 ? session : { ...session, summary: { ...session.summary, grants } };
  }

  /** In which columns values were masked in what a session returned. */
  columnsMasked(id: string): readonly string[] {
    return this.#statements.columnsMasked.all(id, MAX_COLUMNS).map((row) => text(row['name']));
  }

  /** How often each kind of act was decided about; undefined when there was none. */
  acts(id: string): Readonly<Record<string, number>> | undefined {
    const rows = this.#statements.acts.all(id);
    return rows.length === 0
      ? undefined
      : Object.fromEntries(rows.map((row) => [text(row['verb']), integer(row['count'])]));
  }

  /** Ids of sessions that have not ended, oldest first. At start: those that a crash cut off. */
  live(): string[] {
    return this.#statements.live.all().map((row) => text(row['id']));
  }
}

function prepareAll({ database }: IndexStore) {
  const prepare = (sql: string): StatementSync => database.prepare(sql);
  return {
    start: prepare(
      `INSERT INTO sessions (id, state, target, kind, principal_kind, issuer, sub, name, subject, verified_email, family,
         reason, agent, agent_itself, requester, run, parent_run, program, policy_commit, recording, client_version, started_ms, expires_ms)
       VALUES (?, 'live', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    end: prepare(
      `UPDATE sessions SET ended_ms = ?, end_reason = ?, end_message = ?, up_bytes = ?,
         down_bytes = ?, state = ? WHERE id = ? AND state = 'live'`,
    ),
    terminal: prepare('UPDATE sessions SET terminal = 1 WHERE id = ?'),
    uploaded: prepare(
      `UPDATE sessions SET manifest_sha256 = ?,
         state = CASE state WHEN 'disputed' THEN state ELSE 'uploaded' END WHERE id = ?`,
    ),
    signedAlone: prepare('UPDATE sessions SET manifest_sha256 = ? WHERE id = ?'),
    withoutManifest: prepare(
      `SELECT id FROM sessions WHERE manifest_sha256 IS NULL
         AND (state = 'disputed' OR (state = 'ended' AND ended_ms < ?))`,
    ),
    lookups: prepare('UPDATE sessions SET lookups = lookups + ? WHERE id = ?'),
    access: prepare('INSERT INTO session_grants VALUES (?, ?, ?) ON CONFLICT DO NOTHING'),
    grants: prepare(
      'SELECT temporary_grant FROM session_grants WHERE session = ? ORDER BY since_ms',
    ),
    cut: prepare('INSERT INTO cuts VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING'),
    find: prepare('SELECT * FROM sessions WHERE id = ?'),
    acts: prepare(
      `SELECT coalesce(verb, '?') AS verb, count(*) AS count FROM statements
       WHERE session = (SELECT number FROM sessions WHERE id = ?) GROUP BY 1 ORDER BY 1`,
    ),
    columnsMasked: prepare(
      `SELECT DISTINCT name FROM statements JOIN touched_facts USING (touched)
       WHERE session = (SELECT number FROM sessions WHERE id = ?)
         AND kind = 'masked' AND masked_values > 0 ORDER BY name LIMIT ?`,
    ),
    list: prepare(
      `SELECT * FROM sessions
       WHERE ($issuer IS NULL OR (issuer = $issuer AND sub = $sub))
         AND ($run IS NULL OR run = $run)
         AND ($target IS NULL OR target = $target)
         AND ($live = 0 OR state = 'live')
       ORDER BY started_ms DESC, id DESC LIMIT $limit`,
    ),
    live: prepare("SELECT id FROM sessions WHERE state = 'live' ORDER BY started_ms"),
  };
}

function indexedSession(row: Record<string, unknown>): IndexedSession {
  const endedMs = row['ended_ms'] === null ? undefined : integer(row['ended_ms']);
  const state = text(row['state']);
  return {
    issuer: text(row['issuer']),
    sub: text(row['sub']),
    endedMs,
    summary: {
      id: text(row['id']),
      target: text(row['target']),
      principal: text(row['name']),
      ...defined('agent', optionalText(row['agent'])),
      ...(integer(row['agent_itself']) === 1 ? { isAgent: true } : {}),
      ...requesterClaim(optionalText(row['requester'])),
      ...defined('run', optionalText(row['run'])),
      ...defined('parentRun', optionalText(row['parent_run'])),
      ...defined('program', optionalText(row['program'])),
      ...defined('reason', optionalText(row['reason'])),
      startedAt: new Date(integer(row['started_ms'])).toISOString(),
      ...defined('endedAt', endedMs === undefined ? undefined : new Date(endedMs).toISOString()),
      ...defined('endReason', optionalText(row['end_reason'])),
      ...defined('endMessage', optionalText(row['end_message'])),
      kind: text(row['kind']),
      // The table's CHECK allows these four and nothing else.
      state: state as SessionSummary['state'],
      statements: integer(row['statements']),
      denied: integer(row['denied']),
      maskedValues: integer(row['masked_values']),
      ...(integer(row['lookups']) === 0 ? {} : { lookups: integer(row['lookups']) }),
      upBytes: integer(row['up_bytes']),
      downBytes: integer(row['down_bytes']),
      policyCommit: text(row['policy_commit']),
      ...(integer(row['terminal']) === 1 ? { terminal: 'recorded' } : {}),
    },
  };
}

function defined<K extends string>(key: K, value: string | undefined): { [P in K]?: string } {
  // A computed key widens to a string index; the value is exactly what the type says.
  return value === undefined ? {} : ({ [key]: value } as { [P in K]: string });
}
