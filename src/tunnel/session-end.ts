/** Why a session is over: what the gateway says, and what that is to the clients of the local port. */
import { HoopError } from '../errors.ts';
import { END_REASONS, type EndReason } from '../recording/types.ts';

export interface SessionEnd {
  readonly reason: EndReason;
  readonly message: string;
}

/** What an open psql is told on Ctrl-C: it has not ended itself, and its server has not failed. */
export const CLOSED_BY_OWNER: SessionEnd = {
  reason: 'closed',
  message: 'the hoop session was closed by its owner',
};

/** What a local client is told when the session has ended under it. */
export function endError({ reason, message }: SessionEnd): HoopError {
  const hint = 'Start a new session with `hoop connect`.';
  switch (reason) {
    case 'expired':
      return new HoopError('HOOP_SESSION_EXPIRED', message, { hint });
    case 'revoked':
      return new HoopError('HOOP_SESSION_REVOKED', message);
    case 'partition':
      return new HoopError('HOOP_UNREACHABLE', message, { hint });
    case 'disk_full':
      return new HoopError('HOOP_DISK_FULL', message);
    case 'recording_failed':
      return new HoopError('HOOP_RECORDING_WRITE', message);
    case 'disputed':
      return new HoopError('HOOP_EVIDENCE_MISMATCH', message);
    default:
      return new HoopError('HOOP_SESSION_ENDED', message, { hint });
  }
}

/** A reason that only a newer gateway knows is no "closed by you": the gateway has ended it. */
export function endReason(text: string): EndReason {
  return END_REASONS.find((reason) => reason === text) ?? 'gateway_shutdown';
}
