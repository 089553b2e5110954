/**
 * A session in the index anew, from its recording: a process that died had the last rows in memory
 * alone. What the index has and the recording has not stays: a machine that lost its power may have
 * lost the end of a recording, of which the store had taken the rows.
 */
import type { RecordingEvent } from '../../recording/formats/types.ts';
import type { EventSteps } from '../events/audit-events.ts';
import { change, integer, type Store, sql, storable, type Work } from '../store/store.ts';
import { StatementIndex } from './statement-index.ts';
import { UntoldRefusals } from './untold-refusals.ts';

/** When it was recorded, ms since 1970. */
export interface RecordedEvent {
  readonly timeMs: number;
  readonly event: RecordingEvent;
}

export interface RebuildParts {
  readonly store: Store;
  readonly events: EventSteps;
  readonly doesActs: (kind: string) => boolean;
  readonly onFault: (error: unknown) => void;
}

const EVENTS_AT_ONCE = 500;
/** Which refusals were told is found out when all are known. */
const TOLD_AT_THE_END: EventSteps = {
  *add() {
    // Not one by one.
  },
};

/** What the index had when this began. */
interface Before {
  /** Of the session. */
  readonly number: number;
  /** The newest row of a file. */
  readonly lastFile: number;
}

/**
 * Its statements, files, counts and temporary grants, and events of the refusals that have none.
 * @param events of the whole recording, in order
 * @throws what the store says, or who reads the recording
 */
export async function rebuildSession(
  { store, events: told, doesActs, onFault }: RebuildParts,
  id: string,
  events: AsyncIterable<RecordedEvent>,
): Promise<void> {
  const row = await store.get(BEFORE, { id });
  if (row === undefined) return;
  const before = { number: integer(row['number']), lastFile: integer(row['last_file']) };
  let timeMs = 0;
  const clock = (): number => timeMs;
  const statements = new StatementIndex(store, clock, onFault, doesActs, TOLD_AT_THE_END);
  const refusals = new UntoldRefusals();
  let lookups = 0;
  let lot: RecordedEvent[] = [];
  const write = async (): Promise<void> => {
    // First: a row that is there would be kept, and its results added to it.
    await store.transaction(() => forget(before, lot));
    for (const { event, timeMs: atMs } of lot) {
      timeMs = Math.round(atMs);
      refusals.learn(event, timeMs);
      if (event.type === 'access' && event.change === 'given') {
        await store.change(ACCESS_AGAIN, { session: id, grant: event.grant, timeMs });
      }
      if (event.type === 'lookups') lookups += event.candidates;
      statements.event(id, event);
    }
    lot = [];
    await statements.flush();
  };
  for await (const event of events) {
    if (lot.push(event) >= EVENTS_AT_ONCE) await write();
  }
  await write();
  await store.transaction(function* () {
    yield* change(RECOUNT, { number: before.number, lookups });
    yield* refusals.tell(id, told, doesActs);
  });
}

/** The rows that this part of the recording makes again. */
function* forget({ number, lastFile }: Before, lot: readonly RecordedEvent[]): Work<void> {
  const decided = new Map<number, number[]>();
  for (const { event } of lot) {
    if (event.type === 'decision') {
      const statements = decided.get(event.stream);
      if (statements === undefined) decided.set(event.stream, [event.statement]);
      else statements.push(event.statement);
    } else if (event.type === 'ssh.file') {
      const { stream, channel, at, operation } = event;
      const path = storable(event.path);
      yield* change(FORGET_FILE, { number, lastFile, stream, channel, at, operation, path });
    }
  }
  for (const [stream, statements] of decided) {
    yield* change(FORGET_STATEMENTS, { number, stream, statements: JSON.stringify(statements) });
  }
}

const BEFORE = sql(
  `SELECT number, coalesce((SELECT max(id) FROM files WHERE session = number), 0) AS last_file
   FROM sessions WHERE id = $id`,
);
const FORGET =
  'DELETE FROM statements WHERE session = $number AND stream = $stream AND statement IN';
const FORGET_STATEMENTS = sql(
  `${FORGET} (SELECT value FROM json_each($statements))`,
  `${FORGET} (SELECT CAST(json_array_elements_text(CAST($statements AS json)) AS BIGINT))`,
);
/** Those that were made again are behind the last of before: the same may have been done twice. */
const FORGET_FILE = sql(
  `DELETE FROM files WHERE session = $number AND stream = $stream AND at = $at AND channel = $channel
     AND operation = $operation AND path = $path AND id <= $lastFile`,
);
const RECOUNT = sql(
  `UPDATE sessions SET
     statements = (SELECT count(*) FROM statements WHERE session = number AND of_the_last = 0),
     denied = (SELECT count(*) FROM statements WHERE session = number AND effect = 'refuse'),
     masked_values =
       (SELECT CAST(coalesce(sum(masked_values), 0) AS BIGINT) FROM statements WHERE session = number),
     lookups = CASE WHEN lookups < $lookups THEN $lookups ELSE lookups END
   WHERE number = $number`,
);
/** Of a recording, which may be older than what is known of the grant. */
const ACCESS_AGAIN = sql(
  `INSERT INTO session_grants (session, temporary_grant, since_ms)
   SELECT CAST($session AS TEXT), id, CAST($timeMs AS BIGINT) FROM temporary_grants
   WHERE id = $grant ON CONFLICT DO NOTHING`,
);
