import { API_VERSION } from '../../api/http.ts';
import {
  MAX_SEARCH_HITS,
  MAX_SEARCH_TEXT,
  MAX_SEARCH_UNKNOWN,
  SEARCH_PATH,
  type SearchHit,
  SearchReply,
  type SearchRequest,
} from '../../api/search.ts';
import { openGateway } from '../../auth/open-gateway.ts';
import { type GatewayClient, jsonBody } from '../../client/gateway-client.ts';
import { HoopError } from '../../errors.ts';
import { renderJson } from '../../ui/render-json.ts';
import { searchLines } from '../../ui/replay/search-lines.ts';
import { plain } from '../../ui/text/printable.ts';
import { localTime, plural } from '../../ui/text/times.ts';
import { instant } from '../instant.ts';
import type { Io } from '../io.ts';
import { lookOf, printLines } from '../print.ts';

export interface SearchFlags {
  readonly user?: string;
  readonly target?: string;
  readonly agent?: string;
  readonly program?: string;
  readonly touches?: string;
  readonly class?: string;
  readonly seenClear?: boolean;
  readonly since?: string;
  readonly until?: string;
  readonly denied?: boolean;
  readonly limit: number;
  readonly cursor?: string;
  readonly json?: boolean;
}

interface Found {
  readonly hits: readonly SearchHit[];
  readonly sessions: number;
  readonly unread: SearchReply['unread'];
  /** Statements; undefined: nothing that was asked for can be. */
  readonly unknown: number | undefined;
  readonly noSuchAgent: boolean;
  /** Where the next search would go on. */
  readonly next: string | undefined;
}

export async function searchSessions(
  io: Io,
  text: string | undefined,
  flags: SearchFlags,
): Promise<void> {
  const request = requestOf(text, flags, Date.now());
  await using gateway = await openGateway(io);
  const { hits, sessions, unread, unknown, noSuchAgent, next } = await search(
    io,
    gateway.client,
    request,
    flags,
  );
  if (flags.json) {
    const more = next === undefined ? {} : { next };
    const known = unknown === undefined ? {} : { unknown: { statements: unknown, means: UNKNOWN } };
    io.stdout.write(`${renderJson({ v: 1, hits, sessions, unread, ...known, ...more })}\n`);
    throwIfUnread(unread);
    return;
  }
  if (hits.length > 0) {
    printLines(io, searchLines(hits, lookOf(io)));
  } else {
    // The index gives only sessions that have something: how many it looked at is not known.
    const where = text === undefined ? 'the index of all sessions' : plural(sessions, 'session');
    io.note(`nothing found in ${where} that you may read`);
    if (noSuchAgent && flags.agent !== undefined) {
      const agent = plain(flags.agent);
      io.note(
        `the policy has no agent "${agent}"; for what a program of that name did, use --program`,
      );
    }
  }
  for (const { session, why, node } of unread) {
    const text = node === undefined ? UNREAD[why] : `${UNREAD[why]} ${plain(node)}`;
    io.note(`session ${plain(session)}: ${text}`);
  }
  if (unknown !== undefined && unknown > 0) {
    const many = unknown < MAX_SEARCH_UNKNOWN ? plural(unknown, 'statement') : `${unknown} or more`;
    io.note(`unknown: ${many}. ${UNKNOWN}`);
  }
  if (next !== undefined) {
    io.note('there may be older ones: raise --limit, or use --until');
  }
  throwIfUnread(unread);
}

/** @throws HOOP_SEARCH_INCOMPLETE: a script must not take this for the whole answer */
function throwIfUnread(unread: SearchReply['unread']): void {
  if (unread.length === 0) return;
  const isElsewhere = unread.some(({ why }) => why === 'other node');
  throw new HoopError(
    'HOOP_SEARCH_INCOMPLETE',
    `${plural(unread.length, 'session')} could not be searched to the end`,
    {
      hint: isElsewhere
        ? 'Search the recordings of another node at that node: its address is HOOP_GATEWAY for one command.'
        : undefined,
    },
  );
}

/** Of a relation nothing is shown but its columns: with `--seen-clear` it would find nothing. */
const COLUMN = /.\..+\../;

/** An empty list must not be read as proof. */
const UNKNOWN =
  'The index cannot tell whether they match: functions, triggers, rules, passthrough, results that no detector of the class checked, a gateway that was killed. Error texts are not counted. The recordings have them.';

const UNREAD = {
  erased: 'not searched: its recording was erased',
  gone: 'not searched: its recording is lost, the gateway no longer has its files',
  'other node': 'not searched: its recording is kept by node',
  damaged: 'not searched completely: its recording cannot be read',
  'too large':
    'not searched completely: it is too large; `hoop sessions replay ID` reads all of it',
  lost: 'not searched completely: the gateway lost its end; `hoop sessions replay ID` shows the client’s version of it',
} as const;

async function search(
  io: Io,
  client: GatewayClient,
  request: Omit<SearchRequest, 'limit' | 'cursor'>,
  flags: SearchFlags,
): Promise<Found> {
  // A session that ends meanwhile moves, and may come twice.
  const hits = new Map<string, SearchHit>();
  const unread: SearchReply['unread'] = [];
  let sessions = 0;
  let unknown: number | undefined;
  let cursor = flags.cursor;
  for (;;) {
    const limit = Math.min(MAX_SEARCH_HITS, flags.limit - hits.size);
    const body = jsonBody({ ...request, limit, ...(cursor === undefined ? {} : { cursor }) });
    const asked = { method: 'POST', path: SEARCH_PATH, body } as const;
    const reply = await client.json(SearchReply, asked, io.signal);
    for (const hit of reply.hits) {
      hits.set(`${hit.session} ${hit.number ?? hit.statement}`, hit);
    }
    sessions += reply.sessions;
    unread.push(...reply.unread);
    unknown ??= reply.unknown;
    if (reply.next === undefined || hits.size >= flags.limit) {
      const noSuchAgent = reply.noSuchAgent === true;
      return { hits: [...hits.values()], sessions, unread, unknown, noSuchAgent, next: reply.next };
    }
    cursor = reply.next;
    const back =
      reply.reached === undefined ? '' : `, back to ${localTime(Date.parse(reply.reached))}`;
    io.note(`searched ${plural(sessions, 'session')}${back}: ${plural(hits.size, 'hit')} so far`);
  }
}

/** @throws HoopError HOOP_USAGE */
export function requestOf(
  text: string | undefined,
  flags: SearchFlags,
  nowMs: number,
): Omit<SearchRequest, 'limit' | 'cursor'> {
  if (text !== undefined && (text.trim() === '' || text.length > MAX_SEARCH_TEXT)) {
    throw new HoopError(
      'HOOP_USAGE',
      `the text to search for must have 1 to ${MAX_SEARCH_TEXT} characters`,
    );
  }
  const { user, target, agent, program, touches, denied, seenClear } = flags;
  if (text !== undefined && (seenClear === true || flags.class !== undefined)) {
    throw new HoopError('HOOP_USAGE', '--class and --seen-clear do not work with a text', {
      hint: 'The index answers them, and it contains no text.',
    });
  }
  const isColumn = touches === undefined ? flags.class !== undefined : COLUMN.test(touches);
  if (seenClear === true && !isColumn) {
    throw new HoopError('HOOP_USAGE', '--seen-clear needs --touches with a column, or --class', {
      hint: 'A column is written schema.table.column, such as public.customers.email.',
    });
  }
  const sinceMs = flags.since === undefined ? undefined : instant(flags.since, '--since', nowMs);
  const untilMs = flags.until === undefined ? undefined : instant(flags.until, '--until', nowMs);
  return {
    v: API_VERSION,
    ...(text === undefined ? {} : { text }),
    ...(user === undefined ? {} : { user }),
    ...(target === undefined ? {} : { target }),
    ...(agent === undefined ? {} : { agent }),
    ...(program === undefined ? {} : { program }),
    ...(touches === undefined ? {} : { touches }),
    ...(flags.class === undefined ? {} : { class: flags.class }),
    ...(seenClear === true ? { seenClear } : {}),
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(untilMs === undefined ? {} : { untilMs }),
    ...(denied === true ? { denied } : {}),
  };
}
