/** What has happened at a gateway, in its order: all of it, however often the connection is cut. */
import { setTimeout as delay } from 'node:timers/promises';
import { EVENTS_PATH, EventsReply, MAX_EVENTS } from '../api/events.ts';
import { HoopError } from '../errors.ts';
import type { GatewayClient } from './gateway-client.ts';

/** Less than the time after which a request is given up (gateway-transport.ts). */
const WAIT_SECONDS = 20;
const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 30_000;
/** It is not there now; what it said before holds when it is back. */
const AWAY: ReadonlySet<string> = new Set([
  'HOOP_UNREACHABLE',
  'HOOP_PROXY',
  'HOOP_STORE_UNAVAILABLE',
  'HOOP_GATEWAY_BAD_REPLY',
]);

export interface EventsFrom {
  /** A cursor. */
  readonly after?: string | undefined;
  /** RFC 3339 */
  readonly since?: string | undefined;
  /** Where neither is given. */
  readonly newest: number;
  readonly type?: string | undefined;
  readonly session?: string | undefined;
  readonly user?: string | undefined;
}

export interface FollowOptions {
  /** Until the signal is aborted; else until there is no more. */
  readonly follow: boolean;
  /** The gateway is away, and will be asked again. */
  readonly onAway: (error: HoopError) => void;
  readonly signal: AbortSignal;
}

/** @throws HoopError HOOP_EVENTS_FORGOTTEN, HOOP_EVENTS_CURSOR, HOOP_ACCESS_DENIED */
export async function* readEvents(
  client: GatewayClient,
  { after, since, newest, ...filter }: EventsFrom,
  { follow, onAway, signal }: FollowOptions,
): AsyncGenerator<EventsReply> {
  let cursor = after;
  let pauseMs = FIRST_PAUSE_MS;
  for (;;) {
    const from = cursor !== undefined ? { after: cursor } : since ? { since } : { newest };
    const wait = follow && cursor !== undefined ? WAIT_SECONDS : 0;
    const query = { ...filter, ...from, limit: MAX_EVENTS, wait };
    let reply: EventsReply;
    try {
      reply = await ask(client, query, signal);
      pauseMs = FIRST_PAUSE_MS;
    } catch (error) {
      const isAway = error instanceof HoopError && AWAY.has(error.code);
      if (!follow || !isAway || signal.aborted) throw error;
      if (pauseMs === FIRST_PAUSE_MS) onAway(error);
      await delay(pauseMs, undefined, { signal });
      pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS);
      continue;
    }
    yield reply;
    cursor = reply.cursor;
    if (!follow && !reply.more) return;
  }
}

function ask(
  client: GatewayClient,
  query: Readonly<Record<string, string | number | undefined>>,
  signal: AbortSignal,
): Promise<EventsReply> {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as const],
  );
  const path = `${EVENTS_PATH}?${new URLSearchParams(Object.fromEntries(given))}`;
  return client.json(EventsReply, { method: 'GET', path }, signal);
}
