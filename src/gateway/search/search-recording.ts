/** Looks through one recording for what somebody asked a target to do. Runs in the search thread. */
import type { ApprovalState } from '../../api/approvals.ts';
import type { SearchHit } from '../../api/search.ts';
import { readSegments } from '../../recording/ended/read-segments.ts';
import type { ApprovalOutcome } from '../../recording/formats/types.ts';
import { TimelineBuilder } from '../../replay/build-timeline.ts';
import type { Replays } from '../../replay/connector.ts';
import { REPLAY_LIMITS } from '../../replay/replay-limits.ts';
import { type Searchable, searchable } from '../../replay/searchable.ts';
import { type Excerpt, matchText } from '../../replay/text-match.ts';
import type { TimelineEntry } from '../../replay/timeline.ts';

export interface SearchJob {
  readonly directory: string;
  readonly session: string;
  readonly dataKey: Uint8Array;
  readonly isLive: boolean;
  /** Of segment files; what is behind is not read. */
  readonly maxBytes: number;
  /** Of work; what is behind is not read. */
  readonly maxMs: number;
  readonly text: string;
  readonly touches: string | undefined;
  readonly sinceMs: number | undefined;
  readonly untilMs: number | undefined;
  readonly denied: boolean;
  /** Only what has a lower number: it was found before. */
  readonly before: number | undefined;
  /** The newest so many. */
  readonly keep: number;
}

export interface FoundAct {
  readonly number: number;
  readonly id: string | undefined;
  readonly timeMs: number;
  readonly effect: 'allow' | 'approve' | 'refuse' | 'fail' | 'none';
  readonly code: string | undefined;
  /** The request that it waited for, and what the recording says became of that. */
  readonly approval: SearchHit['approval'];
  readonly verbs: readonly string[];
  readonly touches: readonly string[];
  readonly excerpt: Excerpt & { readonly in: 'text' | 'parameter' };
}

export interface SearchResult {
  /** Newest first. */
  readonly found: readonly FoundAct[];
  /** There are older ones that were not kept. */
  readonly more: boolean;
  readonly isCut: boolean;
  /** The gateway lost the end of it: what its client says of that was not looked through. */
  readonly isLost: boolean;
}

/** Characters of a statement and of a value that are looked through. */
const LIMITS = {
  ...REPLAY_LIMITS,
  rows: 0,
  outputLength: 0,
  statementLength: 4 * 1024 * 1024,
  valueLength: 64 * 1024,
  keptLength: Number.POSITIVE_INFINITY,
};
/** What an act can touch is the client's choice; a list shows the beginning. */
const MAX_TOUCHED = 20;

/**
 * @throws FormatError, HoopError for what cannot be read; the signal's reason
 */
export async function searchRecording(
  job: SearchJob,
  replays: Replays,
  signal: AbortSignal,
): Promise<SearchResult> {
  const timeline = new TimelineBuilder(replays, LIMITS);
  let isCut = false;
  let isLost = false;
  let more = false;
  let found: FoundAct[] = [];
  const look = (entries: readonly TimelineEntry[]): void => {
    for (const entry of entries) {
      const act = searchable(entry);
      const hit = act && match(act, job);
      if (hit) {
        found.push(hit);
      }
    }
    if (found.length > 4 * job.keep) {
      found = newest(found, job.keep);
      more = true;
    }
  };
  const onCut = () => {
    isCut = true;
  };
  const onLost = () => {
    isLost = true;
  };
  const untilMs = performance.now() + job.maxMs;
  for await (const items of readSegments({ ...job, onCut, onLost })) {
    signal.throwIfAborted();
    if (performance.now() > untilMs) {
      isCut = true;
      break;
    }
    for (const item of items) {
      timeline.take(item);
    }
    look(timeline.finished());
  }
  timeline.end();
  look(timeline.finished());
  return { found: newest(found, job.keep), more: more || found.length > job.keep, isCut, isLost };
}

/** They come in the order in which they ended; numbers say when they began. */
function newest(found: readonly FoundAct[], keep: number): FoundAct[] {
  return found.toSorted((a, b) => b.number - a.number).slice(0, keep);
}

function match(act: Searchable, job: SearchJob): FoundAct | undefined {
  const { sinceMs = 0, untilMs = Number.POSITIVE_INFINITY, before, touches } = job;
  const touched = act.decisions.flatMap(({ relations }) => relations);
  if (
    act.timeMs < sinceMs ||
    act.timeMs > untilMs ||
    (before !== undefined && act.number >= before) ||
    (job.denied && !act.isDenied) ||
    (touches !== undefined && !touched.some((name) => isOf(name, touches)))
  ) {
    return undefined;
  }
  const excerpt = excerptOf(act, job.text);
  if (excerpt === undefined) {
    return undefined;
  }
  const decision =
    act.decisions.find(({ effect }) => effect === 'refuse' || effect === 'fail') ??
    act.decisions.at(0);
  return {
    number: act.number,
    id: act.id,
    timeMs: act.timeMs,
    effect: decision?.effect ?? 'none',
    code: decision?.code,
    approval: approvalIn(act.approvals),
    verbs: [...new Set(act.decisions.flatMap(({ verbs }) => verbs))].slice(0, MAX_TOUCHED),
    touches: [...new Set(touched)].slice(0, MAX_TOUCHED),
    excerpt,
  };
}

const STATES = {
  released: 'used',
  denied: 'denied',
  expired: 'expired',
  withdrawn: 'withdrawn',
  void: 'void',
  kept: 'waiting',
} as const satisfies Record<ApprovalOutcome, ApprovalState>;

function approvalIn(steps: Searchable['approvals']): SearchHit['approval'] {
  const last = steps.at(-1);
  if (last === undefined) return undefined;
  const { request } = last;
  return last.type === 'held'
    ? { request, state: 'waiting', by: [] }
    : { request, state: STATES[last.outcome], by: [...last.by] };
}

/** The recording says per decision what relations there are; of which columns, the index. */
function isOf(relation: string, touches: string): boolean {
  return relation === touches || touches.startsWith(`${relation}.`);
}

function excerptOf(act: Searchable, wanted: string): FoundAct['excerpt'] | undefined {
  const inText = matchText(act.text, wanted);
  if (inText !== undefined) {
    return { in: 'text', ...inText };
  }
  for (const value of act.parameters) {
    const inValue = matchText(value, wanted);
    if (inValue !== undefined) {
      return { in: 'parameter', ...inValue };
    }
  }
  return undefined;
}
