/** What of a timeline can be searched: what somebody asked a target to do. */
import { decidedIds } from './find-statements.ts';
import type { ApprovalStep, Decision, TimelineEntry } from './timeline.ts';

export interface Searchable {
  readonly number: number;
  /** CONNECTION.STATEMENT of the first decision about it. */
  readonly id: string | undefined;
  readonly timeMs: number;
  readonly decisions: readonly Decision[];
  /** Empty unless it waited for people. */
  readonly approvals: readonly ApprovalStep[];
  readonly isDenied: boolean;
  readonly text: string;
  /** Values that were bound to it. */
  readonly parameters: readonly string[];
}

export function searchable(entry: TimelineEntry): Searchable | undefined {
  if (entry.type !== 'statement') {
    return undefined;
  }
  return {
    number: entry.number,
    id: decidedIds(entry)[0],
    timeMs: entry.startMs,
    decisions: entry.decisions,
    approvals: entry.approvals,
    isDenied: entry.outcome === 'denied',
    text: entry.text,
    parameters: entry.parameters.flatMap(({ value }) => value ?? []),
  };
}
