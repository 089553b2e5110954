/** Sessions and statements in the index. */
import type { EventParty } from '../../api/events.ts';
import type { SessionSummary } from '../../api/sessions.ts';
import { HoopError } from '../../errors.ts';
import { requesterClaim } from '../../policy/actor-name.ts';
import type { Principal } from '../../policy/types.ts';
import type { EndReason, RecordingEvent } from '../../recording/types.ts';
import type { EventSteps } from '../events/audit-events.ts';
import type { Counted } from '../events/event-limit.ts';
import { eventLogin, eventParty } from '../events/event-party.ts';
import type { NodeOwner } from '../nodes/node-owner.ts';
import {
  change,
  get,
  integer,
  nullable,
  optionalText,
  type Row,
  type Sql,
  type SqlValues,
  type Store,
  sql,
  storable,
  text,
  type Work,
} from '../store/store.ts';
import type { Decision } from './pending-statement.ts';
import { countedRefusals, SESSION_FACTS, sessionFacts } from './refusal-events.ts';
import { ENDED_FACTS, sessionEnd } from './session-end.ts';
import { StatementIndex } from './statement-index.ts';
import { UntoldRefusals } from './untold-refusals.ts';

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
  /** Address that it was asked for from. */
  readonly from?: string | undefined;
}

export interface SessionEnd {
  readonly endedMs: number;
  readonly reason: EndReason;
  readonly message: string | undefined;
  readonly upBytes: number;
  readonly downBytes: number;
  /** Who has ended it, where somebody has. */
  readonly by?: EventParty | undefined;
}

/** When it was recorded, ms since 1970. */
export interface RecordedEvent {
  readonly timeMs: number;
  readonly event: RecordingEvent;
}

const REBUILT_AT_ONCE = 500;
/** Which refusals were told is found out when all are known. */
const TOLD_AT_THE_END: EventSteps = {
  *add() {
    // Not one by one.
  },
};
/** In the details of one session. */
const MAX_COLUMNS = 200;

/** A summary with what decides who may see it. */
export interface IndexedSession {
  readonly summary: SessionSummary;
  readonly issuer: string;
  readonly sub: string;
  /** The login that opened it. */
  readonly family: string;
  /** The login that that one was made from, where it is that of a run. */
  readonly login: string | undefined;
  readonly owner: NodeOwner;
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
  readonly #store: Store;
  readonly #owner: NodeOwner;
  readonly #events: EventSteps;
  readonly #statementIndex: StatementIndex;
  readonly #clock: () => number;
  readonly #onFault: (error: unknown) => void;
  readonly #doesActs: (kind: string) => boolean;
  /** Ends that could not be written, e.g. to a full disk. While that is so no session begins, so they are few. */
  readonly #unwritten = new Map<string, SessionEnd>();
  /** What nobody waits for, one after the other. */
  #later: Promise<void> = Promise.resolve();

  /**
   * @param owner whose sessions are begun and ended here; others are only read
   * @param doesActs whether what is done on targets of a kind are acts, and no statements.
   */
  constructor(
    store: Store,
    owner: NodeOwner,
    clock: () => number,
    onFault: (error: unknown) => void,
    doesActs: (kind: string) => boolean,
    events: EventSteps,
  ) {
    this.#onFault = onFault;
    this.#store = store;
    this.#owner = owner;
    this.#events = events;
    this.#doesActs = doesActs;
    this.#clock = clock;
    this.#statementIndex = new StatementIndex(store, clock, onFault, doesActs, events);
  }

  /** @throws what the store says: then there is no such session. */
  async start(session: NewSession): Promise<void> {
    const { principal } = session;
    const events = this.#events;
    const values = {
      id: session.id,
      target: session.target,
      kind: session.kind,
      principalKind: principal.kind,
      issuer: principal.issuer,
      sub: principal.sub,
      name: storable(principal.name),
      subject: nullable(principal.subject),
      verifiedEmail: nullable(principal.verifiedEmail),
      family: session.family,
      reason: nullable(storable(session.reason)),
      agent: nullable(principal.agent),
      agentItself: principal.isAgent === true ? 1 : 0,
      requester: nullable(principal.requester),
      run: nullable(session.run),
      parentRun: nullable(session.parentRun),
      program: nullable(storable(session.program)),
      policyCommit: session.policyCommit,
      recording: session.recording,
      clientVersion: storable(session.clientVersion),
      startedMs: session.startedMs,
      expiresMs: session.expiresMs,
      node: this.#owner.id,
      term: this.#owner.term,
    };
    await this.#store.transaction(function* () {
      yield* change(START, values);
      yield* events.add({
        type: 'session.begin',
        who: eventParty(principal),
        from: session.from,
        target: session.target,
        session: session.id,
        run: session.run,
        commit: session.policyCommit,
        login: eventLogin(session.family),
        kind: session.kind,
        recording: session.recording,
        expires: new Date(session.expiresMs).toISOString(),
      });
    });
  }

  /**
   * Statements that cannot be written do not keep the session `live`; an end that cannot is written
   * with the next flush.
   * @throws what the store says
   */
  async end(id: string, end: SessionEnd): Promise<void> {
    this.#unwritten.set(id, end);
    this.#statementIndex.sessionEnded(id);
    await this.#statementIndex.flush().catch(this.#onFault);
    await this.#writeEnds();
  }

  async #writeEnds(): Promise<void> {
    for (const [id, end] of this.#unwritten) {
      const counted = this.#statementIndex.countedOf(id);
      await this.#store
        .transaction(() => this.#end(id, end, counted))
        .catch((error: unknown) => {
          this.#statementIndex.putBackCounted(counted);
          throw error;
        });
      this.#unwritten.delete(id);
    }
  }

  *#end(id: string, end: SessionEnd, counted: readonly Counted<Decision>[]): Work<void> {
    const { endedMs, reason, upBytes, downBytes, by } = end;
    const row = yield* get(END, {
      ...{ id, endedMs, reason, upBytes, downBytes },
      node: this.#owner.id,
      term: this.#owner.term,
      message: nullable(storable(end.message)),
      state: reason === 'disputed' ? 'disputed' : 'ended',
    });
    // It had ended before.
    if (row === undefined) return;
    const facts = sessionFacts(row);
    const hasStatements = !this.#doesActs(text(row['kind']));
    yield* this.#events.add(
      ...counted.map((one) => countedRefusals(facts, hasStatements, one)),
      sessionEnd(row, reason, by),
    );
  }

  *#signed(sql: Sql, id: string, manifestSha256: string, signed: 'both' | 'gateway'): Work<void> {
    const row = yield* get(sql, { id, manifestSha256 });
    if (row === undefined) return;
    const facts = sessionFacts(row);
    yield* this.#events.add({ type: 'recording.complete', ...facts, signed, manifestSha256 });
  }

  /** What a program shows on its terminal is being recorded. */
  terminal(id: string): void {
    this.#write(TERMINAL, { id });
  }

  /** Both sides have signed the manifest. */
  async uploaded(id: string, manifestSha256: string): Promise<void> {
    await this.#store.transaction(() => this.#signed(UPLOADED, id, manifestSha256, 'both'));
  }

  /** The gateway has signed alone, because the client did not come or did not agree. */
  async signedAlone(id: string, manifestSha256: string): Promise<void> {
    await this.#store.transaction(() => this.#signed(SIGNED_ALONE, id, manifestSha256, 'gateway'));
  }

  /** This node's sessions without a manifest that ended before `endedBeforeMs`, and all disputed ones. */
  async withoutManifest(endedBeforeMs: number): Promise<string[]> {
    return (await this.#store.all(WITHOUT_MANIFEST, { endedBeforeMs, node: this.#owner.id })).map(
      (row) => text(row['id']),
    );
  }

  /** Decisions and results of statements, lookups, and temporary grants; other events are not indexed. */
  event(session: string, event: RecordingEvent): void {
    if (event.type === 'access' && event.change === 'given') {
      this.#write(ACCESS, { session, grant: event.grant, nowMs: this.#clock() });
    }
    // For lists alone: the budget has a count of its own, and the recording has each of them.
    if (event.type === 'lookups') {
      this.#write(LOOKUPS, { session, candidates: event.candidates });
    }
    this.#statementIndex.event(session, event);
  }

  /** Nothing more comes of it. */
  streamEnded(session: string, stream: number): void {
    this.#statementIndex.streamEnded(session, stream);
  }

  /**
   * What a process that died had not written yet: the statements of a session anew, from its recording,
   * which temporary grants it had, and events of the refusals that have none.
   * @param events of the whole recording, in order
   * @throws what the store says, or who reads the recording
   */
  async rebuild(id: string, events: AsyncIterable<RecordedEvent>): Promise<void> {
    await this.#store.transaction(function* () {
      yield* change(FORGET_STATEMENTS, { id });
      yield* change(FORGET_FILES, { id });
      yield* change(FORGET_COUNTS, { id });
    });
    let timeMs = 0;
    const clock = (): number => timeMs;
    const statements = new StatementIndex(
      this.#store,
      clock,
      this.#onFault,
      this.#doesActs,
      TOLD_AT_THE_END,
    );
    const refusals = new UntoldRefusals();
    let count = 0;
    for await (const { event, timeMs: atMs } of events) {
      timeMs = Math.round(atMs);
      refusals.learn(event, timeMs);
      if (event.type === 'access' && event.change === 'given') {
        await this.#store.change(ACCESS_AGAIN, { session: id, grant: event.grant, timeMs });
      }
      if (event.type === 'lookups') {
        await this.#store.change(LOOKUPS, { session: id, candidates: event.candidates });
      }
      statements.event(id, event);
      count += 1;
      if (count % REBUILT_AT_ONCE === 0) await statements.flush();
    }
    await statements.flush();
    await this.#store.transaction(() => refusals.tell(id, this.#events, this.#doesActs));
  }

  /** Nobody waits for it. What cannot be written is reported: the recording has the same. */
  #write(sql: Sql, values: SqlValues): void {
    const written = this.#later.then(() => this.#store.change(sql, values));
    this.#later = written.then(() => undefined, this.#onFault);
  }

  /** Writes what is pending. @throws what the store says. */
  async flush(): Promise<void> {
    await this.#later;
    await this.#statementIndex.flush();
    await this.#writeEnds();
  }

  /** For whoever only reads, or comes by: what cannot be written is reported and tried again. */
  async tryFlush(): Promise<void> {
    await this.flush().catch(this.#onFault);
  }

  async find(id: string): Promise<IndexedSession | undefined> {
    await this.tryFlush();
    const row = await this.#store.get(FIND, { id });
    if (row === undefined) return undefined;
    const grants = await this.#store.all(GRANTS, { session: id });
    return indexedSession(row, grants);
  }

  async list(query: SessionQuery): Promise<IndexedSession[]> {
    await this.tryFlush();
    const values = {
      issuer: nullable(query.owner?.issuer),
      sub: nullable(query.owner?.sub),
      run: nullable(query.run),
      target: nullable(query.target),
      live: query.live === true ? 1 : 0,
      limit: query.limit,
    };
    const rows = await this.#store.all(LIST, values);
    const grants = Map.groupBy(await this.#store.all(GRANTS_OF_LIST, values), (row) =>
      text(row['session']),
    );
    return rows.map((row) => indexedSession(row, grants.get(text(row['id'])) ?? []));
  }

  /** In which columns values were masked in what a session returned. */
  async columnsMasked(id: string): Promise<readonly string[]> {
    const rows = await this.#store.all(COLUMNS_MASKED, { id, limit: MAX_COLUMNS });
    return rows.map((row) => text(row['name']));
  }

  /**
   * To be awaited before a recording is signed or closed: it is this node's, in no later term than
   * this. One that is not in the index, where a crash came first, is whose directory has it.
   * @throws HOOP_OTHER_NODE
   */
  async claim(id: string): Promise<void> {
    const { id: node, term } = this.#owner;
    if ((await this.#store.change(CLAIM, { id, node, term })) === 1) return;
    const row = await this.#store.get(OWNER, { id });
    if (row === undefined) return;
    throw new HoopError('HOOP_OTHER_NODE', 'another gateway has the recording of this session', {
      detail: `It is kept by node ${text(row['node'])}${atUrl(optionalText(row['url']))}.`,
      hint: 'Ask the gateway that the session was opened at.',
    });
  }

  /** How often each kind of act was decided about; undefined when there was none. */
  async acts(id: string): Promise<Readonly<Record<string, number>> | undefined> {
    const rows = await this.#store.all(ACTS, { id });
    return rows.length === 0
      ? undefined
      : Object.fromEntries(rows.map((row) => [text(row['verb']), integer(row['count'])]));
  }

  /** Ids of this node's sessions that have not ended, oldest first. At start: those that a crash cut off. */
  async live(): Promise<string[]> {
    return (await this.#store.all(LIVE, { node: this.#owner.id })).map((row) => text(row['id']));
  }
}

const START = sql(
  `INSERT INTO sessions (id, state, target, kind, principal_kind, issuer, sub, name, subject,
     verified_email, family, reason, agent, agent_itself, requester, run, parent_run, program,
     policy_commit, recording, client_version, started_ms, expires_ms, node, term)
   VALUES ($id, 'live', $target, $kind, $principalKind, $issuer, $sub, $name, $subject,
     $verifiedEmail, $family, $reason, $agent, $agentItself, $requester, $run, $parentRun, $program,
     $policyCommit, $recording, $clientVersion, $startedMs, $expiresMs, $node, $term)`,
);
const END = sql(
  `UPDATE sessions SET ended_ms = $endedMs, end_reason = $reason, end_message = $message,
     up_bytes = $upBytes, down_bytes = $downBytes, state = $state
   WHERE id = $id AND state = 'live' AND node = $node AND term <= $term
   RETURNING ${ENDED_FACTS}`,
);
const FORGET_STATEMENTS = sql(
  'DELETE FROM statements WHERE session = (SELECT number FROM sessions WHERE id = $id)',
);
const FORGET_FILES = sql(
  'DELETE FROM files WHERE session = (SELECT number FROM sessions WHERE id = $id)',
);
const FORGET_COUNTS = sql(
  'UPDATE sessions SET statements = 0, denied = 0, masked_values = 0, lookups = 0 WHERE id = $id',
);
const CLAIM = sql(
  'UPDATE sessions SET term = $term WHERE id = $id AND node = $node AND term <= $term',
);
const OWNER = sql(
  `SELECT node, url FROM sessions LEFT JOIN nodes ON nodes.id = sessions.node
   WHERE sessions.id = $id`,
);
const TERMINAL = sql('UPDATE sessions SET terminal = 1 WHERE id = $id');
/** A client that lost the answer sends its manifest again. */
const IS_NEW = "coalesce(manifest_sha256, '') <> $manifestSha256";
const UPLOADED = sql(
  `UPDATE sessions SET manifest_sha256 = $manifestSha256,
     state = CASE state WHEN 'disputed' THEN state ELSE 'uploaded' END
   WHERE id = $id AND ${IS_NEW} RETURNING ${SESSION_FACTS}`,
);
const SIGNED_ALONE = sql(
  `UPDATE sessions SET manifest_sha256 = $manifestSha256 WHERE id = $id AND ${IS_NEW}
   RETURNING ${SESSION_FACTS}`,
);
const WITHOUT_MANIFEST = sql(
  `SELECT id FROM sessions WHERE manifest_sha256 IS NULL AND node = $node
     AND (state = 'disputed' OR (state = 'ended' AND ended_ms < $endedBeforeMs))`,
);
const LOOKUPS = sql('UPDATE sessions SET lookups = lookups + $candidates WHERE id = $session');
const ACCESS = sql(
  `INSERT INTO session_grants (session, temporary_grant, since_ms)
   VALUES ($session, $grant, $nowMs) ON CONFLICT DO NOTHING`,
);
/** Of a recording, which may be older than what is known of the grant. */
const ACCESS_AGAIN = sql(
  `INSERT INTO session_grants (session, temporary_grant, since_ms)
   SELECT CAST($session AS TEXT), id, CAST($timeMs AS BIGINT) FROM temporary_grants
   WHERE id = $grant ON CONFLICT DO NOTHING`,
);
const GRANTS = sql(
  'SELECT temporary_grant FROM session_grants WHERE session = $session ORDER BY since_ms',
);
const FIND = sql(
  `SELECT sessions.*, (SELECT parent FROM refresh_families WHERE refresh_families.id = family) AS parent_login
   FROM sessions WHERE id = $id`,
);
const ACTS = sql(
  `SELECT coalesce(verb, '?') AS verb, count(*) AS count FROM statements
   WHERE session = (SELECT number FROM sessions WHERE id = $id) GROUP BY 1 ORDER BY 1`,
);
const COLUMNS_MASKED = sql(
  `SELECT DISTINCT name FROM statements JOIN touched_facts USING (touched)
   WHERE session = (SELECT number FROM sessions WHERE id = $id)
     AND kind = 'masked' AND masked_values > 0 ORDER BY name LIMIT $limit`,
);
const LISTED = `FROM sessions
   WHERE (CAST($issuer AS TEXT) IS NULL OR (issuer = $issuer AND sub = $sub))
     AND (CAST($run AS TEXT) IS NULL OR run = $run)
     AND (CAST($target AS TEXT) IS NULL OR target = $target)
     AND (CAST($live AS BIGINT) = 0 OR state = 'live')
   ORDER BY started_ms DESC, id DESC LIMIT $limit`;
const LIST = sql(`SELECT * ${LISTED}`);
const GRANTS_OF_LIST = sql(
  `SELECT session, temporary_grant FROM session_grants
   WHERE session IN (SELECT id ${LISTED}) ORDER BY since_ms`,
);
const LIVE = sql(
  "SELECT id FROM sessions WHERE state = 'live' AND node = $node ORDER BY started_ms",
);

function indexedSession(row: Row, grants: readonly Row[]): IndexedSession {
  const endedMs = row['ended_ms'] === null ? undefined : integer(row['ended_ms']);
  const state = text(row['state']);
  return {
    issuer: text(row['issuer']),
    sub: text(row['sub']),
    family: text(row['family']),
    login: optionalText(row['parent_login']),
    owner: { id: text(row['node']), term: integer(row['term']) },
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
      ...(grants.length === 0
        ? {}
        : { grants: grants.map((grant) => text(grant['temporary_grant'])) }),
    },
  };
}

function atUrl(url: string | undefined): string {
  return url === undefined ? '' : ` (${url})`;
}

function defined<K extends string>(key: K, value: string | undefined): { [P in K]?: string } {
  // A computed key widens to a string index; the value is exactly what the type says.
  return value === undefined ? {} : ({ [key]: value } as { [P in K]: string });
}
