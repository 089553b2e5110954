import { CONNECTORS } from '../../src/connectors/registry.ts';
import { type RecordedItem, buildTimeline as timelineOf } from '../../src/replay/build-timeline.ts';
import { loadReplays } from '../../src/replay/connector.ts';
import type { ReplayLimits } from '../../src/replay/replay-limits.ts';
import type { TimelineEntry } from '../../src/replay/timeline.ts';

export const REPLAYS = await loadReplays(CONNECTORS);

/** With the connectors that there are. */
export function buildTimeline(
  items: Iterable<RecordedItem>,
  limits?: ReplayLimits,
): Generator<TimelineEntry> {
  return timelineOf(items, REPLAYS, limits);
}
