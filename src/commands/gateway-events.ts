import { EVENT_CURSOR } from '../api/events.ts';
import { openGateway } from '../auth/open-gateway.ts';
import { type EventsFrom, readEvents } from '../client/events-client.ts';
import { eventLines } from '../ui/event-lines.ts';
import { renderJson } from '../ui/render-json.ts';
import { localTime } from '../ui/text/times.ts';
import { instant } from './instant.ts';
import type { Io } from './io.ts';
import { lookOf, printLines } from './print.ts';

export interface EventsFlags {
  readonly follow?: boolean;
  readonly since?: string;
  readonly type?: readonly string[];
  readonly session?: string;
  readonly user?: string;
  readonly newest: number;
  readonly json?: boolean;
}

/** @throws HOOP_USAGE for what is neither a time nor a cursor */
export async function showEvents(io: Io, flags: EventsFlags): Promise<void> {
  const from = fromOf(flags, Date.now());
  await using gateway = await openGateway(io);
  const pages = readEvents(gateway.client, from, {
    follow: flags.follow === true,
    onAway: ({ message }) => io.note(`${message}; retrying until it is back`),
    signal: io.signal,
  });
  let isFirst = true;
  let count = 0;
  for await (const { events, forgottenUntil, lookedBackTo } of pages) {
    if (isFirst && forgottenUntil !== undefined) {
      io.note(`events before ${localTime(Date.parse(forgottenUntil))} are no longer kept`);
    }
    if (isFirst && lookedBackTo !== undefined) {
      const time = localTime(Date.parse(lookedBackTo));
      io.note(`searched back to ${time}; use --since to go further`);
    }
    if (flags.json === true) {
      for (const event of events) io.stdout.write(`${renderJson(event)}\n`);
    } else if (events.length > 0) {
      printLines(io, eventLines(events, { ...lookOf(io), withTitles: count === 0 }));
    }
    isFirst = false;
    count += events.length;
  }
  if (count === 0 && flags.json !== true) io.note('no events match');
}

function fromOf(flags: EventsFlags, nowMs: number): EventsFrom {
  const { since, type, session, user, newest } = flags;
  const isCursor = since !== undefined && EVENT_CURSOR.test(since.trim());
  return {
    ...(since === undefined
      ? {}
      : isCursor
        ? { after: since.trim() }
        : { since: new Date(instant(since, '--since', nowMs, { orCursor: true })).toISOString() }),
    type: type?.join(','),
    ...{ session, user, newest },
  };
}
