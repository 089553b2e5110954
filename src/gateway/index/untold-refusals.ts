/**
 * Refusals that no event tells: a process that was killed had them in memory, with the rows of its
 * last 100 ms, or had counted them. They are in the recording, and told when it is read again.
 */
import type { RecordingEvent } from '../../recording/formats/types.ts';
import type { EventSteps } from '../events/audit-events.ts';
import { all, get, integer, sql, text, type Work } from '../store/store.ts';
import type { Decision } from './pending-statement.ts';
import {
  countedRefusals,
  RefusalLimit,
  refusalEvent,
  SESSION_FACTS,
  sessionFacts,
} from './refusal-events.ts';

interface Refusal {
  readonly decision: Decision;
  readonly timeMs: number;
}

/** A process loses some seconds; of what is before these, only how many there were is known. */
const MAX_KEPT = 10_000;
/** A clock may have been set back since a session began. */
const DAY_MS = 86_400_000;

export class UntoldRefusals {
  #last: Refusal[] = [];
  #count = 0;

  /** @param timeMs when it was recorded */
  learn(event: RecordingEvent, timeMs: number): void {
    if (event.type !== 'decision' || event.effect !== 'refuse') return;
    this.#count += 1;
    this.#last.push({ decision: event, timeMs });
    if (this.#last.length >= 2 * MAX_KEPT) this.#last = this.#last.slice(-MAX_KEPT);
  }

  /**
   * One by one as far as that is done with others, and counted from there on. Those that are told in
   * this transaction are found by the next one: a start that is killed, too, tells none twice.
   * @param doesActs as of the index
   */
  *tell(session: string, events: EventSteps, doesActs: (kind: string) => boolean): Work<void> {
    if (this.#count === 0) return;
    const row = yield* get(SESSION, { session });
    if (row === undefined) return;
    const untold = yield* this.#untold(session, integer(row['started_ms']));
    const facts = sessionFacts(row);
    const hasStatements = !doesActs(text(row['kind']));
    let nowMs = 0;
    const limit = new RefusalLimit(() => nowMs);
    for (const { decision, timeMs } of untold) {
      nowMs = timeMs;
      if (limit.take(session, decision)) {
        yield* events.add(refusalEvent(facts, hasStatements, decision));
      }
    }
    yield* events.add(
      ...limit.rest(session).map((counted) => countedRefusals(facts, hasStatements, counted)),
    );
  }

  /** As many as are missing: those that were recorded last and have no event of their own. */
  *#untold(session: string, startedMs: number): Work<readonly Refusal[]> {
    const rows = yield* all(TOLD, { session, sinceMs: startedMs - DAY_MS });
    const told = rows.map((row) => JSON.parse(text(row['event'])) as Told);
    const missing = this.#count - told.reduce((sum, { count = 1 }) => sum + count, 0);
    if (missing <= 0) return [];
    const places = new Set(told.map(placeOf));
    // The oldest events may have been forgotten, by their time: what was told then is not told again.
    const [cut] = yield* all(CUT_MS);
    const cutMs = integer(cut?.['cut_ms'] ?? 0);
    return this.#last
      .filter(({ decision, timeMs }) => timeMs > cutMs && !places.has(placeOf(decision)))
      .slice(-missing);
  }
}

/** Of an event, as it was written: events.ts of the API. */
interface Told {
  readonly stream?: number;
  readonly statement?: number;
  readonly count?: number;
}

const placeOf = ({ stream, statement }: Told): string => `${stream} ${statement}`;

const SESSION = sql(`SELECT started_ms, ${SESSION_FACTS} FROM sessions WHERE id = $session`);
const TOLD = sql(
  `SELECT event FROM audit_events WHERE time_ms >= $sinceMs AND session = $session
     AND type IN ('statement.refused', 'act.refused')`,
);
const CUT_MS = sql('SELECT cut_ms FROM audit_state');
