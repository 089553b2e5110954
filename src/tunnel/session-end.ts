/** Why a session is over, as the gateway says it, or the client where it knows better. */
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

/** A reason that only a newer gateway knows is no "closed by you": the gateway has ended it. */
export function endReason(text: string): EndReason {
  return END_REASONS.find((reason) => reason === text) ?? 'gateway_shutdown';
}
