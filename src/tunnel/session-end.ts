/** Why a session is over, as the gateway says it, or the client where it knows better. */

import { END_REASONS, type EndReason } from '../recording/formats/types.ts';
import { RecordingStopped } from '../recording/write/recording-stopped.ts';

export interface SessionEnd {
  readonly reason: EndReason;
  readonly message: string;
}

/** What an open psql is told on Ctrl-C: it has not ended itself, and its server has not failed. */
export const CLOSED_BY_OWNER: SessionEnd = {
  reason: 'closed',
  message: 'the hoop session was closed by its owner',
};

/** A reason that only a newer gateway knows is no "closed by you": the gateway has ended it. */
export function endReason(text: string): EndReason {
  return END_REASONS.find((reason) => reason === text) ?? 'gateway_shutdown';
}

/** @param reason why the recording on this machine has stopped */
export function endOfRecording(reason: unknown): SessionEnd {
  if (!(reason instanceof RecordingStopped)) {
    return { reason: 'recording_failed', message: 'on this machine: the recording stopped' };
  }
  const { endReason, message } = reason;
  // The others are about what the gateway said, or no longer says: nothing here has failed.
  const isHere = endReason === 'recording_failed' || endReason === 'disk_full';
  return { reason: endReason, message: isHere ? `on this machine: ${message}` : message };
}
