/**
 * The end of what a node that was taken over left behind: its live sessions, and what it held for
 * approval. A step of the transaction that takes the node over.
 */
import { RECORD, recordOf } from '../approvals/approval-store.ts';
import { requestFacts } from '../approvals/request-facts.ts';
import type { EventSteps, NewEvent } from '../events/audit-events.ts';
import { ENDED_FACTS, sessionEnd } from '../index/session-end.ts';
import { tellNodes } from '../nodes/node-changes.ts';
import { type EndLeft, type LeftBehind, timed } from '../nodes/node-store.ts';
import { all, change, type Row, sql, type Work } from '../store/store.ts';

/** @param events gets the end of each session and of each request */
export function endLeftBehind(events: EventSteps): EndLeft {
  return function* (id, by): Work<LeftBehind> {
    const sessions = yield* all(END_SESSIONS, { id });
    const withdrawn = yield* all(WITHDRAW, { id });
    yield* change(MOVE_REQUESTS, { id, by });
    const counts = { sessions: sessions.length, requests: withdrawn.length };
    yield* events.add(
      { type: 'node.taken_over', taken: id, ...counts },
      ...withdrawn.map((request) => withdrawnEvent(request)),
      ...sessions.map((session) => sessionEnd(session, 'gateway_crash')),
    );
    yield* tellNodes('approvals');
    return counts;
  };
}

const END_SESSIONS = timed(
  `UPDATE sessions SET state = 'ended', ended_ms = {now}, end_reason = 'gateway_crash', term = term + 1,
     end_message = 'the node that had the session was taken over'
   WHERE node = $id AND state = 'live' RETURNING ${ENDED_FACTS}`,
);
const WITHDRAW = timed(
  `UPDATE approvals SET state = 'withdrawn', ended_ms = {now},
     outcome = 'the node that held it was taken over'
   WHERE node = $id AND dies_with_connection = 1 AND state IN ('waiting', 'approved')
   RETURNING ${RECORD}`,
);
const MOVE_REQUESTS = sql(
  `UPDATE approvals SET node = $by WHERE node = $id AND state IN ('waiting', 'approved')`,
);

function withdrawnEvent(row: Row): NewEvent {
  return { type: 'approval.state', ...requestFacts(recordOf(row, [])), state: 'withdrawn' };
}
