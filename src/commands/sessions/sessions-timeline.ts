/** A recording that is being read, with the connectors that know what its streams hold. */
import { CONNECTORS } from '../../connectors/registry.ts';
import { HoopError } from '../../errors.ts';
import { directionName, lostText } from '../../recording/client/repair.ts';
import type { SessionReading } from '../../recording/ended/read-session.ts';
import { buildTimeline } from '../../replay/build-timeline.ts';
import { loadReplays } from '../../replay/connector.ts';
import { REPLAY_LIMITS, type ReplayLimits } from '../../replay/replay-limits.ts';
import type { Statement, TimelineEntry } from '../../replay/timeline.ts';
import type { TerminalTrack } from '../../replay/track.ts';

const replays = await loadReplays(CONNECTORS);

export function* timelineOf(
  reading: SessionReading,
  limits: ReplayLimits = REPLAY_LIMITS,
): Generator<TimelineEntry> {
  yield* buildTimeline(reading.timeline(), replays, limits);
  // Behind the rest, and read by nothing: a client can invent them.
  for (const { stream, direction, offset, timeMs, sentMs, bytes } of reading.lost()) {
    const range = { stream, from: offset, to: offset + bytes.length };
    const kept = bytes.subarray(0, limits.outputLength);
    yield {
      type: 'lost',
      timeMs,
      sentMs,
      ...range,
      direction: directionName(direction),
      claim: lostText({ ...range, direction }),
      text: new TextDecoder().decode(kept),
      more: bytes.length - kept.length,
    };
  }
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
