/** Sessions and statements in the index. */
import type { EventParty } from '../../api/events.ts';
import { HoopError } from '../../errors.ts';
import type { EndReason, RecordingEvent } from '../../recording/formats/types.ts';
import type { EventSteps } from '../events/audit-events.ts';
import type { Counted } from '../events/event-limit.ts';
import { nodeName } from '../nodes/node-name.ts';
import type { NodeOwner } from '../nodes/node-owner.ts';
import {
  get,
  integer,
  nullable,
  optionalText,
  type Sql,
  type SqlValues,
  type Store,
  sql,
  storable,
  text,
  type Work,
} from '../store/store.ts';
import { type IndexedSession, indexedSession } from './indexed-session.ts';
import { beginSession, type NewSession } from './new-session.ts';
import type { Decision } from './pending-statement.ts';
import { type RecordedEvent, rebuildSession } from './rebuild-session.ts';
import { countedRefusals, SESSION_FACTS, sessionFacts } from './refusal-events.ts';
import { ENDED_FACTS, sessionEnd } from './session-end.ts';
import { StatementIndex } from './statement-index.ts';

export interface SessionEnd {
  readonly endedMs: number;
  readonly reason: EndReason;
  readonly message: string | undefined;
  readonly upBytes: number;
  readonly downBytes: number;
  /** Who has ended it, where somebody has. */
  readonly by?: EventParty | undefined;
}

export interface SignedManifest {
  /** Hex. */
  readonly sha256: string;
  /** What it says that was lost, and sent back. */
  readonly lostBytes: number;
}

/** In the details of one session. */
const MAX_COLUMNS = 200;

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

  /** ID of the node whose sessions are begun and ended here. */
  get node(): string {
    return this.#owner.id;
  }

  /** @throws what the store says: then there is no such session. */
  async start(session: NewSession): Promise<void> {
    await this.#store.transaction(() => beginSession(session, this.#owner, this.#events));
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

  *#signed(sql: Sql, id: string, manifest: SignedManifest, signed: 'both' | 'gateway'): Work<void> {
    const { sha256: manifestSha256, lostBytes } = manifest;
    const row = yield* get(sql, { id, manifestSha256, lostBytes });
    if (row === undefined) return;
    const facts = sessionFacts(row);
    yield* this.#events.add({ type: 'recording.complete', ...facts, signed, manifestSha256 });
  }

  /** What a program shows on its terminal is being recorded. */
  terminal(id: string): void {
    this.#write(TERMINAL, { id });
  }

  /** Both sides have signed the manifest. */
  async uploaded(id: string, manifest: SignedManifest): Promise<void> {
    await this.#store.transaction(() => this.#signed(UPLOADED, id, manifest, 'both'));
  }

  /** The gateway has signed alone, because the client did not come or did not agree. */
  async signedAlone(id: string, manifest: SignedManifest): Promise<void> {
    await this.#store.transaction(() => this.#signed(SIGNED_ALONE, id, manifest, 'gateway'));
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

  /** What a process that died had not written: see rebuildSession. */
  async rebuild(id: string, events: AsyncIterable<RecordedEvent>): Promise<void> {
    const parts = {
      store: this.#store,
      events: this.#events,
      doesActs: this.#doesActs,
      onFault: this.#onFault,
    };
    await rebuildSession(parts, id, events);
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
      detail: `It is kept by node ${nodeName(text(row['node']), optionalText(row['url']))}.`,
      hint: 'Ask the gateway where the session was opened.',
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

const NODE_URL = '(SELECT url FROM nodes WHERE nodes.id = sessions.node) AS node_url';
const END = sql(
  `UPDATE sessions SET ended_ms = $endedMs, end_reason = $reason, end_message = $message,
     up_bytes = $upBytes, down_bytes = $downBytes, state = $state
   WHERE id = $id AND state = 'live' AND node = $node AND term <= $term
   RETURNING ${ENDED_FACTS}`,
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
  `UPDATE sessions SET manifest_sha256 = $manifestSha256, lost_bytes = $lostBytes,
     state = CASE state WHEN 'disputed' THEN state ELSE 'uploaded' END
   WHERE id = $id AND ${IS_NEW} RETURNING ${SESSION_FACTS}`,
);
const SIGNED_ALONE = sql(
  `UPDATE sessions SET manifest_sha256 = $manifestSha256, lost_bytes = $lostBytes WHERE id = $id AND ${IS_NEW}
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
const GRANTS = sql(
  'SELECT temporary_grant FROM session_grants WHERE session = $session ORDER BY since_ms',
);
const FIND = sql(
  `SELECT sessions.*, ${NODE_URL},
     (SELECT parent FROM refresh_families WHERE refresh_families.id = family) AS parent_login
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
const LIST = sql(`SELECT sessions.*, ${NODE_URL} ${LISTED}`);
const GRANTS_OF_LIST = sql(
  `SELECT session, temporary_grant FROM session_grants
   WHERE session IN (SELECT id ${LISTED}) ORDER BY since_ms`,
);
const LIVE = sql(
  "SELECT id FROM sessions WHERE state = 'live' AND node = $node ORDER BY started_ms",
);
