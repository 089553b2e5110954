/** Which decisions of a lot are second ones: about a statement that was decided before. */
import { get, sql, type Work } from '../store/store.ts';
import { type Decision, type Known, placeOf } from './pending-statement.ts';

/** What only a statement that was held before is refused with. */
const AFTER_HOLD: ReadonlySet<string> = new Set([
  'HOOP_APPROVAL_PENDING',
  'HOOP_APPROVAL_DENIED',
  'HOOP_APPROVAL_EXPIRED',
  'HOOP_APPROVAL_VOID',
]);

/** Of a statement so far, as the store would have it by now. */
interface Before {
  readonly decision?: Decision;
  readonly isDone: boolean;
}

/**
 * A statement that needed approval and did not get it, or whose result was withheld, is decided
 * twice, under two numbers: it is one statement, denied. An Execute is held, and refused, behind
 * the Parse that was decided. (An act on a server that is held is decided once, when it is over.)
 * @returns the second decisions; asked before anything of the lot is written
 */
export function* secondDecisions(lot: readonly Known[]): Work<ReadonlySet<Decision>> {
  const seconds = new Set<Decision>();
  const isRefusal = ({ entry: { decision }, session }: Known): boolean =>
    decision?.effect === 'refuse' && session.hasStatements;
  if (!lot.some(isRefusal)) {
    return seconds;
  }
  /** By place. */
  const before = new Map<string, Before>();
  for (const one of lot) {
    const { decision, last, result } = one.entry;
    const { number } = one.session;
    const event = decision ?? result;
    if (event === undefined) continue;
    if (decision !== undefined && isRefusal(one)) {
      const place = { stream: decision.stream, statement: decision.statement - 1 };
      const first = last ?? (yield* undone(number, place, before));
      if (first !== undefined && isSecond(decision, first)) seconds.add(decision);
    }
    const place = placeOf(number, event);
    const isDone = result !== undefined && (result.tag ?? result.sqlState) !== undefined;
    const earlier = before.get(place);
    before.set(place, {
      ...earlier,
      ...(decision && { decision }),
      isDone: isDone || earlier?.isDone === true,
    });
  }
  return seconds;
}

/** The decision about a statement that has not ended. */
function* undone(
  session: number,
  place: { readonly stream: number; readonly statement: number },
  before: ReadonlyMap<string, Before>,
): Work<{ readonly at: unknown; readonly effect: unknown } | undefined> {
  const inLot = before.get(placeOf(session, place));
  if (inLot?.isDone === true) return undefined;
  if (inLot?.decision !== undefined) return inLot.decision;
  const row = yield* get(UNDONE, { session, ...place });
  return row && { at: row['at'], effect: row['effect'] };
}

function isSecond(
  { at, code }: Decision,
  first: { readonly at: unknown; readonly effect: unknown },
): boolean {
  switch (first.effect) {
    case 'approve':
      return first.at === at || AFTER_HOLD.has(code ?? '');
    case 'allow':
      return first.at === at;
    default:
      return false;
  }
}

const UNDONE = sql(
  `SELECT at, effect FROM statements
   WHERE session = $session AND stream = $stream AND statement = $statement
     AND tag IS NULL AND sql_state IS NULL`,
);
