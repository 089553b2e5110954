/** The HTTP API of what happened: api/events.ts. For those who may list sessions of others. */
import type { Hono } from 'hono';
import { EVENTS_PATH, EventsQuery, type EventsReply } from '../../api/events.ts';
import { HoopError } from '../../errors.ts';
import { doneOrAborted } from '../../until.ts';
import type { AuditEvents } from '../events/audit-events.ts';
import { readEvents } from '../events/read-events.ts';
import type { Env, Guards } from '../http/api-context.ts';
import { readQuery } from '../http/http-body.ts';
import { json } from '../http/http-replies.ts';
import { LongPolls } from '../http/long-polls.ts';
import { maySeeEvents } from '../sessions/access.ts';

export interface EventRoutesOptions {
  readonly events: AuditEvents;
  /** Aborted when the gateway stops. */
  readonly signal: AbortSignal;
}

/** Of another gateway’s events nobody here is told. */
const LOOK_EVERY_MS = 1000;
const POLLS = { what: 'events', ofOne: 10, ofAll: 100 };

export function addEventRoutes(
  app: Hono<Env>,
  { authenticated }: Guards,
  { events, signal }: EventRoutesOptions,
): void {
  const polls = new LongPolls({ ...POLLS, signal });
  app.get(
    EVENTS_PATH,
    authenticated(async (c, { principal }) => {
      if (!maySeeEvents(principal)) {
        throw new HoopError('HOOP_ACCESS_DENIED', `no access to events for ${principal.name}`, {
          detail:
            'They are for auditors, approvers and observers: the policy (hoop.yaml, `roles`) names their groups.',
        });
      }
      const { wait, ...asked } = readQuery(c, EventsQuery);
      // What waits to be written has happened.
      await events.flush().catch(() => undefined);
      const reply = await readEvents(events.store, asked);
      if (wait === 0 || reply.events.length > 0 || reply.more) return json(reply);
      using _ = polls.take(JSON.stringify([principal.issuer, principal.sub]));
      return json(await nextReply(events, asked, reply, polls.over(c, wait)));
    }),
  );
}

/** @param first has none */
async function nextReply(
  events: AuditEvents,
  asked: Omit<EventsQuery, 'wait'>,
  first: EventsReply,
  over: AbortSignal,
): Promise<EventsReply> {
  let reply = first;
  while (!over.aborted) {
    await mayHaveChanged(events, over);
    const { cursor: after } = reply;
    const next = await readEvents(events.store, { ...asked, after, since: undefined });
    reply = { ...next, ...(first.forgottenUntil && { forgottenUntil: first.forgottenUntil }) };
    if (reply.events.length > 0 || reply.more) break;
  }
  return reply;
}

async function mayHaveChanged(events: AuditEvents, over: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, LOOK_EVERY_MS);
  const stop = events.onAdded(resolve);
  try {
    await doneOrAborted(promise, over);
  } finally {
    clearTimeout(timer);
    stop();
  }
}
