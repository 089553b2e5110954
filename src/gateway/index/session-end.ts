/** The end of a session as an event. */
import type { EventParty } from '../../api/events.ts';
import type { EndReason } from '../../recording/formats/types.ts';
import type { NewEvent } from '../events/audit-events.ts';
import { integer, type Row } from '../store/store.ts';
import { SESSION_FACTS, sessionFacts } from './refusal-events.ts';

/** Of `sessions`, with the end in it: what `sessionEnd` reads. */
export const ENDED_FACTS = `${SESSION_FACTS}, statements, denied, masked_values, up_bytes, down_bytes`;

export function sessionEnd(row: Row, reason: EndReason, by?: EventParty): NewEvent {
  return {
    type: 'session.end',
    ...sessionFacts(row),
    by,
    reason,
    upBytes: integer(row['up_bytes']),
    downBytes: integer(row['down_bytes']),
    statements: integer(row['statements']),
    denied: integer(row['denied']),
    maskedValues: integer(row['masked_values']),
  };
}
