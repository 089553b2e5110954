/** What the replay view shows: a recording read to its end, in order of time, within limits. */
import { REPLAY_LIMITS } from '../../replay/replay-limits.ts';
import type { TimelineEntry } from '../../replay/timeline.ts';
import { isSaidElsewhere, timeOf } from './transcript.ts';

export interface ReplayHeader {
  readonly session: string;
  readonly target: string;
  readonly principal: string;
  readonly reason: string | undefined;
  /** What verification said, and how good that is. */
  readonly verdict: string;
  readonly verified: 'yes' | 'no' | 'unknown';
}

export interface ReplayModel {
  readonly header: ReplayHeader;
  readonly entries: readonly TimelineEntry[];
  /** Zero of the times shown. */
  readonly startMs: number;
  readonly durationMs: number;
  /** There is more than the view can hold. */
  readonly truncated: boolean;
}

/** A view is for people: past this many lines of list one wants `--json`. */
const MAX_ENTRIES = 100_000;

export function collectReplay(
  header: ReplayHeader,
  timeline: Iterable<TimelineEntry>,
): ReplayModel {
  const entries: TimelineEntry[] = [];
  let textLength = 0;
  let truncated = false;
  let reason = header.reason;
  let startMs = Number.POSITIVE_INFINITY;
  for (const entry of timeline) {
    if (entries.length >= MAX_ENTRIES || textLength > REPLAY_LIMITS.keptLength) {
      truncated = true;
      break;
    }
    textLength += entry.type === 'statement' ? entry.text.length : 0;
    startMs = Math.min(startMs, timeOf(entry));
    if (entry.type === 'session.open') {
      reason ??= entry.reason;
    }
    if (entry.type !== 'session.open' && !isSaidElsewhere(entry)) {
      entries.push(entry);
    }
  }
  entries.sort((a, b) => timeOf(a) - timeOf(b) || numberOf(a) - numberOf(b));
  const endMs = entries.reduce((last, entry) => Math.max(last, endOf(entry)), 0);
  const empty = entries.length === 0;
  return {
    header: { ...header, reason },
    entries,
    startMs: empty ? 0 : startMs,
    durationMs: empty ? 0 : endMs - startMs,
    truncated,
  };
}

function numberOf(entry: TimelineEntry): number {
  return entry.type === 'statement' ? entry.number : 0;
}

function endOf(entry: TimelineEntry): number {
  return entry.type === 'statement' ? (entry.endMs ?? entry.startMs) : entry.timeMs;
}
