/** A recording that is being read, with the connectors that know what its streams hold. */
import { CONNECTORS } from '../connectors/registry.ts';
import { HoopError } from '../errors.ts';
import type { SessionReading } from '../recording/read-session.ts';
import { buildTimeline } from '../replay/build-timeline.ts';
import { loadReplays } from '../replay/connector.ts';
import type { ReplayLimits } from '../replay/replay-limits.ts';
import type { Statement, TimelineEntry } from '../replay/timeline.ts';
import type { TerminalTrack } from '../replay/track.ts';

const replays = await loadReplays(CONNECTORS);

export function timelineOf(
  reading: SessionReading,
  limits?: ReplayLimits,
): Generator<TimelineEntry> {
  return buildTimeline(reading.timeline(), replays, limits);
}

/** @throws HoopError HOOP_USAGE */
export function trackOf(reading: SessionReading, act: Statement): TerminalTrack {
  const stream = reading.streams.find((candidate) => candidate.stream === act.stream);
  const track = stream && replays.get(stream.kind)?.track;
  const channel = act.channel?.channel;
  if (stream === undefined || track === undefined || channel === undefined) {
    throw new HoopError('HOOP_USAGE', `#${act.number} has nothing to play`);
  }
  return track(() => stream.pieces(), channel);
}

/** What the client received, stream after stream as it came; no evidence lines, no frames. */
export function* receivedBytes(reading: SessionReading): Generator<Uint8Array> {
  const unframed = new Map(
    reading.streams.flatMap(({ stream, kind }) => {
      const received = replays.get(kind)?.received?.();
      return received === undefined ? [] : [[stream, received] as const];
    }),
  );
  for (const item of reading.timeline()) {
    if (item.type === 'data' && item.piece.direction === 1) {
      const { stream, bytes } = item.piece;
      yield* unframed.get(stream)?.(bytes) ?? [bytes];
    }
  }
}
