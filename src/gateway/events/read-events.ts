/** Events as their readers get them: what follows a cursor, what is newest, what they ask for of it. */
import {
  EVENT_CURSOR,
  EVENT_NAMES,
  type EventsQuery,
  type EventsReply,
  ReadEvent,
} from '../../api/events.ts';
import { API_VERSION } from '../../api/http.ts';
import { HoopError } from '../../errors.ts';
import {
  integer,
  nullable,
  type Row,
  type SqlValue,
  type Store,
  storable,
  text,
} from '../store/store.ts';
import { comparable } from './audit-events.ts';
import { FIRST_SINCE, FOLLOWING, NEWEST } from './event-sql.ts';

type Query = Partial<Omit<EventsQuery, 'wait'>> & Pick<EventsQuery, 'limit'>;

/** A place in the order: of an event, or before the first (all 0). */
interface Place {
  readonly position: number;
  readonly number: number;
  /** Time of the event: another one has this place where the store was restored from a copy. */
  readonly ms: number;
}

/** Looked at for one page where it is asked for some of them only: the event loop waits for that. */
const SCAN = 2000;
const SCAN_BACK = 20_000;
const START: Place = { position: 0, number: 0, ms: 0 };

/** @throws HoopError HOOP_EVENTS_FORGOTTEN, HOOP_EVENTS_CURSOR */
export async function readEvents(store: Store, query: Query): Promise<EventsReply> {
  const { after, since, newest, limit } = query;
  if (after === undefined && since === undefined && newest !== undefined) {
    return readNewest(store, query, newest);
  }
  const cursor = after === undefined ? undefined : decodeCursor(after);
  const sinceMs = after === undefined && since !== undefined ? Date.parse(since) : undefined;
  const from = cursor?.place ?? (sinceMs === undefined ? START : await placeSince(store, sinceMs));
  const scan = isFiltered(query) ? SCAN : limit;
  const rows = await store.all(FOLLOWING, { ...filterOf(query, sinceMs), ...from, scan });
  const state = stateOf(rows);
  if (cursor !== undefined) requireKept(cursor, state);
  const found = rows.filter((row) => row['matches'] === 1).slice(0, limit);
  const last = (found.length === limit ? found : rows).at(-1);
  const reached = last === undefined || last['number'] === null ? undefined : placeOf(last);
  const isForgotten = sinceMs !== undefined && state.cut.ms >= sinceMs;
  return {
    v: API_VERSION,
    events: found.map((row) => eventOf(row, state.id)),
    cursor: encodeCursor(reached ?? after ?? state.cut, state.id),
    more: reached !== undefined && (found.length === limit || last?.['scanned'] === scan),
    ...(isForgotten ? { forgottenUntil: new Date(state.cut.ms).toISOString() } : {}),
  };
}

async function readNewest(store: Store, query: Query, newest: number): Promise<EventsReply> {
  const isSome = isFiltered(query);
  const scan = isSome ? SCAN_BACK : Math.max(newest, 1);
  const rows = await store.all(NEWEST, { ...filterOf(query, undefined), ...START, scan });
  const state = stateOf(rows);
  const all = rows.filter((row) => row['matches'] === 1);
  const found = newest === 0 ? [] : all.slice(-newest);
  const [oldest] = rows;
  const last = rows.at(-1);
  const isShort = isSome && found.length < newest && oldest?.['scanned'] === scan;
  const place = last === undefined || last['number'] === null ? state.cut : placeOf(last);
  return {
    v: API_VERSION,
    events: found.map((row) => eventOf(row, state.id)),
    cursor: encodeCursor(place, state.id),
    more: false,
    ...(isShort ? { lookedBackTo: new Date(integer(oldest['time_ms'])).toISOString() } : {}),
  };
}

async function placeSince(store: Store, sinceMs: number): Promise<Place> {
  const row = await store.get(FIRST_SINCE, { sinceMs });
  // None is as new as that: what comes is.
  if (row === undefined) return START;
  return { position: integer(row['position']), number: integer(row['number']) - 1, ms: 0 };
}

function isFiltered({ type, session, user, since }: Query): boolean {
  return [type, session, user, since].some((one) => one !== undefined);
}

function filterOf(
  { type, session, user }: Pick<Query, 'type' | 'session' | 'user'>,
  sinceMs = 0,
): Readonly<Record<string, SqlValue>> {
  return {
    types: type === undefined ? null : `,${typesOf(type).join(',')},`,
    session: nullable(storable(session)),
    user: user === undefined ? null : `\n${comparable(user)}\n`,
    sinceMs,
  };
}

/** @throws HoopError HOOP_USAGE */
function typesOf(asked: string): readonly string[] {
  return asked.split(',').flatMap((one) => {
    const found = one.endsWith('.*')
      ? EVENT_NAMES.filter((type) => type.startsWith(one.slice(0, -1)))
      : EVENT_NAMES.filter((type) => type === one);
    if (found.length > 0) return found;
    throw new HoopError('HOOP_USAGE', 'there is no such type of event', {
      hint: `The types are ${EVENT_NAMES.join(', ')}; "session.*" means all that start with "session.".`,
    });
  });
}

interface State {
  readonly id: string;
  /** Up to it everything was forgotten. */
  readonly cut: Place;
  /** Time of the event that has the place of the cursor. */
  readonly atMs: number | undefined;
}

function stateOf([row]: readonly Row[]): State {
  return {
    id: text(row?.['id']),
    cut: {
      position: integer(row?.['cut_position']),
      number: integer(row?.['cut_number']),
      ms: integer(row?.['cut_ms']),
    },
    atMs: row?.['at_ms'] === null ? undefined : integer(row?.['at_ms']),
  };
}

/** @throws HoopError HOOP_EVENTS_FORGOTTEN, HOOP_EVENTS_CURSOR */
function requireKept(
  { id, place }: { readonly id: string; readonly place: Place },
  { id: own, cut, atMs }: State,
): void {
  const isCut = place.position === cut.position && place.number === cut.number;
  const isKnown = isCut ? place.ms === cut.ms : atMs === place.ms;
  if (id === own && isKnown) return;
  const isBefore =
    place.position < cut.position || (place.position === cut.position && place.number < cut.number);
  if (id === own && isBefore) {
    throw new HoopError('HOOP_EVENTS_FORGOTTEN', 'events after this cursor are no longer kept', {
      detail: `The gateway has deleted events up to ${new Date(cut.ms).toISOString()}, some of them after the cursor.`,
      hint: 'Start again from a time: --since. `events` in the gateway’s configuration says how long events are kept.',
    });
  }
  throw new HoopError('HOOP_EVENTS_CURSOR', 'this gateway never issued this cursor', {
    detail:
      'It belongs to another gateway, or its store has since been restored from a backup: whatever was written after that backup is gone.',
    hint: 'Start again from a time: --since.',
  });
}

function eventOf(row: Row, id: string): ReadEvent {
  const { v, ...event } = JSON.parse(text(row['event']));
  return ReadEvent.parse({ v, cursor: encodeCursor(placeOf(row), id), ...event });
}

function placeOf(row: Row): Place {
  return {
    position: integer(row['position']),
    number: integer(row['number']),
    ms: integer(row['time_ms']),
  };
}

function encodeCursor(of: Place | string, id: string): string {
  if (typeof of === 'string') return of;
  return [id, ...[of.position, of.number, of.ms].map((part) => part.toString(36))].join('.');
}

/** @throws HoopError HOOP_EVENTS_CURSOR */
function decodeCursor(cursor: string): { readonly id: string; readonly place: Place } {
  const [id = '', ...parts] = EVENT_CURSOR.test(cursor) ? cursor.split('.') : [];
  const [position = -1, number = -1, ms = -1] = parts.map((part) => Number.parseInt(part, 36));
  if (![position, number, ms].every(Number.isSafeInteger)) return { id: '', place: START };
  return { id, place: { position, number, ms } };
}
