/**
 * Search over sessions. Without a text the index answers. With one the recordings of the sessions
 * that the index leaves are decrypted and looked through, newest first, because the index has no
 * SQL and no values; what was erased is not found. The work of one request has a limit, and the
 * reply says where to go on.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { API_VERSION } from '../../api/http.ts';
import type { SearchHit, SearchReply, SearchRequest } from '../../api/search.ts';
import { HoopError } from '../../errors.ts';
import { requesterClaim } from '../../policy/actor-name.ts';
import { DETECTORS } from '../../policy/schema/schema.ts';
import type { Principal } from '../../policy/types.ts';
import { recordingPresence } from '../../recording/ended/recording-presence.ts';
import { loadRecordingKeys } from '../../recording/keys/recording-keys.ts';
import { type RecordingStore, recordingDirectory } from '../../recording/write/recording-store.ts';
import { normalText } from '../../replay/text-match.ts';
import { errorFields, type Log } from '../base/log.ts';
import type { AuditEvents } from '../events/audit-events.ts';
import { eventParty } from '../events/event-party.ts';
import type { Authenticated } from '../identity/identity.ts';
import type { SessionIndex } from '../index/session-index.ts';
import { nodeName } from '../nodes/node-name.ts';
import { maySeeAll } from '../sessions/access.ts';
import type { Store } from '../store/store.ts';
import { type Cursor, decodeCursor, encodeCursor } from './search-cursor.ts';
import { type FoundSession, SearchIndex, type SearchScope } from './search-index.ts';
import type { SearchJob } from './search-recording.ts';
import { type SearchAnswer, SearchThread } from './search-thread.ts';

/** Sessions that the index is asked for at a time. */
const PAGE = 50;
/** Of one request: after it the reply says how far it came. */
const MAX_SESSIONS = 500;
const MAX_TIME_MS = 2000;
/** Of one recording, its segment files, and the time that it may take: a client waits for 30 s. */
const MAX_RECORDING_BYTES = 1024 * 1024 * 1024;
const MAX_RECORDING_MS = 10_000;

export interface SessionSearchOptions {
  readonly kept: Store;
  readonly index: SessionIndex;
  readonly store: RecordingStore;
  readonly events: Pick<AuditEvents, 'write'>;
  /** Tells whether the policy in force has an agent of this name. */
  readonly isAgent: (name: string) => boolean;
  /** See `SearchThread`. */
  readonly searchWorker: URL;
}

/** In one event. */
const MAX_SESSIONS_TOLD = 100;

/** Reasons for which nothing at all of a recording could be looked through. */
const UNOPENED: ReadonlySet<string> = new Set(['erased', 'gone', 'other node']);

/** What one session gave. */
interface Looked {
  readonly hits: readonly SearchHit[];
  readonly unread: Omit<SearchReply['unread'][number], 'session'> | undefined;
  /** There are more in it, before these. */
  readonly within: Cursor['within'];
}

type Look = (session: FoundSession, within: Cursor['within'], room: number) => Promise<Looked>;

export class SessionSearch implements AsyncDisposable {
  readonly #options: SessionSearchOptions;
  readonly #index: SearchIndex;
  readonly #thread: SearchThread;

  constructor(options: SessionSearchOptions) {
    this.#options = options;
    this.#index = new SearchIndex(options.kept);
    this.#thread = new SearchThread(options.searchWorker);
  }

  /**
   * The sessions whose recordings `who` may read: their own, for auditors all, for a run its own.
   * @throws HoopError HOOP_LIMIT, HOOP_PROTOCOL for a cursor that is none; the signal's reason
   */
  async search(
    who: Pick<Authenticated, 'principal' | 'run' | 'from'>,
    request: SearchRequest,
    { log, signal }: { readonly log: Log; readonly signal: AbortSignal },
  ): Promise<SearchReply> {
    const scope = scopeOf(who, request);
    const cursor = request.cursor === undefined ? undefined : decodeCursor(request.cursor);
    const text = normalText(request.text ?? '');
    await this.#options.index.tryFlush();
    const looked: string[] = [];
    const walk = (look: Look) => this.#walk(scope, cursor, request.limit, look);
    const reply =
      text === ''
        ? await this.#withUnknown(
            scope,
            cursor,
            await walk((...place) => this.#inIndex(scope, ...place)),
          )
        : await this.#thread.use(
            JSON.stringify([who.principal.issuer, who.principal.sub]),
            (search) =>
              walk(async (session, within, room) => {
                const job = jobOf({ scope, text, session, within, room });
                const found = await this.#inRecording(session, job, { search, log });
                if (!UNOPENED.has(found.unread?.why ?? '')) {
                  looked.push(session.id);
                  log.info('recording.searched', { session: session.id, by: who.principal.name });
                }
                return found;
              }),
            signal,
          );
    // Before anybody has what was found.
    for (let at = 0; at < looked.length; at += MAX_SESSIONS_TOLD) {
      await this.#options.events.write({
        type: 'recording.searched',
        by: eventParty(who.principal),
        run: who.run?.id,
        from: who.from,
        sessions: looked.slice(at, at + MAX_SESSIONS_TOLD),
      });
    }
    const { sessions, hits } = reply;
    const { agent } = request;
    const isUnknown = agent !== undefined && !this.#options.isAgent(agent);
    // Not what was looked for: that may be a value.
    log.info('sessions.searched', {
      by: who.principal.name,
      byText: text !== '',
      sessions,
      hits: hits.length,
    });
    return isUnknown ? { ...reply, noSuchAgent: true } : reply;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread[Symbol.asyncDispose]();
  }

  async #withUnknown(
    scope: SearchScope,
    cursor: Cursor | undefined,
    reply: SearchReply,
  ): Promise<SearchReply> {
    const unknown = cursor === undefined ? await this.#index.unknown(scope) : undefined;
    return unknown === undefined ? reply : { ...reply, unknown };
  }

  async #walk(
    scope: SearchScope,
    cursor: Cursor | undefined,
    limit: number,
    look: Look,
  ): Promise<SearchReply> {
    const hits: SearchHit[] = [];
    const unread: SearchReply['unread'][number][] = [];
    const untilMs = performance.now() + MAX_TIME_MS;
    let count = 0;
    let unopened = 0;
    const ended = (next: Cursor | undefined): SearchReply => ({
      v: API_VERSION,
      hits,
      sessions: count - unopened,
      unread,
      ...(next === undefined
        ? {}
        : {
            reached: new Date(next.endedMs ?? next.startedMs).toISOString(),
            next: encodeCursor(next),
          }),
    });
    for await (const { session, within } of this.#candidates(scope, cursor)) {
      count += 1;
      await nextTurn();
      const looked = await look(session, within, limit - hits.length);
      hits.push(...looked.hits);
      if (looked.unread !== undefined) {
        unread.push({ session: session.id, ...looked.unread });
        unopened += UNOPENED.has(looked.unread.why) ? 1 : 0;
      }
      const place = placeOf(session);
      if (looked.within !== undefined) {
        return ended({ ...place, within: looked.within });
      }
      if (hits.length >= limit || count >= MAX_SESSIONS || performance.now() >= untilMs) {
        return ended(place);
      }
    }
    return ended(undefined);
  }

  async *#candidates(
    scope: SearchScope,
    cursor: Cursor | undefined,
  ): AsyncGenerator<{ readonly session: FoundSession; readonly within: Cursor['within'] }> {
    let after = cursor && { ...cursor, endedMs: cursor.endedMs ?? undefined };
    const begun = cursor?.within && (await this.#index.session(scope, cursor.id));
    if (begun) {
      yield { session: begun, within: cursor.within };
    }
    for (;;) {
      const page = await this.#index.sessions(scope, after, PAGE);
      for (const session of page) {
        // It was live when the search came by, and has ended since.
        if (session.id !== cursor?.id) {
          yield { session, within: undefined };
        }
      }
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) {
        return;
      }
      after = { endedMs: last.endedMs, startedMs: last.startedMs, id: last.id };
    }
  }

  async #inIndex(
    scope: SearchScope,
    session: FoundSession,
    within: Cursor['within'],
    room: number,
  ): Promise<Looked> {
    const before = within !== undefined && 'timeMs' in within ? within : undefined;
    const rows = await this.#index.statements(session.number, scope, before, room + 1);
    const shown = rows.slice(0, room);
    const last = shown.at(-1);
    const approvals = await this.#index.approvals(shown.flatMap(({ request }) => request ?? []));
    return {
      hits: shown.map((row) => ({
        ...ofSession(session),
        statement: `${row.stream}.${row.statement}`,
        time: new Date(row.timeMs).toISOString(),
        effect: effectOf(row.effect),
        ...(row.code === undefined ? {} : { code: row.code }),
        ...approvalOf(approvals.get(row.request ?? '')),
        verbs: [...row.verbs],
        touches: [...row.touches],
      })),
      unread: undefined,
      within:
        rows.length > room && last
          ? { timeMs: last.timeMs, stream: last.stream, statement: last.statement }
          : undefined,
    };
  }

  async #inRecording(
    session: FoundSession,
    job: Omit<SearchJob, 'directory' | 'dataKey' | 'maxBytes' | 'maxMs'>,
    {
      search,
      log,
    }: { readonly search: (job: SearchJob) => Promise<SearchAnswer>; readonly log: Log },
  ): Promise<Looked> {
    const { store, index } = this.#options;
    if (session.node !== index.node) {
      const node = nodeName(session.node, session.nodeUrl);
      return { hits: [], unread: { why: 'other node', node }, within: undefined };
    }
    const answer = await this.#opened(session.id, (dataKey) =>
      search({
        ...job,
        directory: recordingDirectory(store, session.id),
        dataKey,
        maxBytes: MAX_RECORDING_BYTES,
        maxMs: MAX_RECORDING_MS,
      }),
    );
    if ('failed' in answer) {
      if (answer.failed === 'damaged') {
        log.warn('recording.search_failed', { session: session.id, message: answer.message });
      }
      const why = answer.failed === 'stopped' ? 'damaged' : answer.failed;
      return { hits: [], unread: { why }, within: undefined };
    }
    const { found, more, isCut, isLost } = answer.result;
    const last = found.at(-1);
    const approvals = await this.#index.approvals(
      found.flatMap(({ approval }) => approval?.request ?? []),
    );
    return {
      hits: found.map(
        ({ number, id, timeMs, effect, code, approval, verbs, touches, excerpt }) => ({
          ...ofSession(session),
          ...(id === undefined ? {} : { statement: id }),
          number,
          time: new Date(timeMs).toISOString(),
          effect,
          ...(code === undefined ? {} : { code }),
          // The recording of a live session lags behind, and a request may outlive its session.
          ...approvalOf(approvals.get(approval?.request ?? '') ?? approval),
          verbs: [...verbs],
          touches: [...touches],
          excerpt,
        }),
      ),
      unread: cutBy({ isCut, isLost }),
      within: more && last ? { number: last.number } : undefined,
    };
  }

  async #opened(
    session: string,
    search: (dataKey: Uint8Array) => Promise<SearchAnswer>,
  ): Promise<SearchAnswer> {
    const { store } = this.#options;
    const presence = await recordingPresence(store, session);
    if (presence !== 'kept') {
      return { failed: presence === 'lost' ? 'gone' : 'erased' };
    }
    let dataKey: Uint8Array;
    try {
      dataKey = loadRecordingKeys(store.keysDir, session).dataKey;
    } catch (error) {
      return { failed: 'damaged', message: String(errorFields(error)['message']) };
    }
    return search(dataKey);
  }
}

function approvalOf(approval: SearchHit['approval']): Pick<SearchHit, 'approval'> {
  return approval === undefined ? {} : { approval };
}

function cutBy(cut: { readonly isCut: boolean; readonly isLost: boolean }): Looked['unread'] {
  if (cut.isCut) return { why: 'too large' };
  return cut.isLost ? { why: 'lost' } : undefined;
}

/** @throws HoopError HOOP_USAGE: nothing found of a class that is not one would read as an answer */
function scopeOf(
  {
    principal,
    run,
  }: { readonly principal: Principal; readonly run?: { readonly id: string } | undefined },
  request: SearchRequest,
): SearchScope {
  const { issuer, sub } = principal;
  const { user, target, agent, program, touches, sinceMs, untilMs, denied, seenClear } = request;
  if (request.class !== undefined && !DETECTORS.some((name) => name === request.class)) {
    throw new HoopError('HOOP_USAGE', 'there is no such class of values', {
      hint: `The classes are ${DETECTORS.join(', ')}.`,
    });
  }
  return {
    owner: maySeeAll(principal, false) ? undefined : { issuer, sub },
    run: run?.id,
    user,
    target,
    agent,
    program,
    touches,
    detected: request.class,
    seenClear: seenClear === true,
    sinceMs,
    untilMs,
    denied: denied === true,
  };
}

function jobOf({
  scope,
  text,
  session,
  within,
  room,
}: {
  readonly scope: SearchScope;
  readonly text: string;
  readonly session: FoundSession;
  readonly within: Cursor['within'];
  readonly room: number;
}): Omit<SearchJob, 'directory' | 'dataKey' | 'maxBytes' | 'maxMs'> {
  const { touches, sinceMs, untilMs, denied } = scope;
  return {
    session: session.id,
    isLive: session.endedMs === undefined,
    text,
    touches,
    sinceMs,
    untilMs,
    denied,
    before: within !== undefined && 'number' in within ? within.number : undefined,
    keep: room,
  };
}

function placeOf({ endedMs, startedMs, id }: FoundSession): Cursor {
  return { endedMs: endedMs ?? null, startedMs, id };
}

function ofSession(session: FoundSession) {
  const { id, target, principal, agent, isAgent, requester, run } = session;
  return {
    session: id,
    target,
    principal,
    ...(agent === undefined ? {} : { agent }),
    ...(isAgent ? { isAgent: true as const } : {}),
    ...requesterClaim(requester),
    ...(run === undefined ? {} : { run }),
  };
}

function effectOf(effect: string): SearchHit['effect'] {
  return effect === 'allow' || effect === 'approve' || effect === 'refuse' || effect === 'fail'
    ? effect
    : 'none';
}
