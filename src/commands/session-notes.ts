/** What is said of a session when it begins. */
import { durationWords } from '../duration-words.ts';
import type { ClientSession } from '../tunnel/connect-session.ts';
import { plain } from '../ui/printable.ts';
import { localTime, plural } from '../ui/times.ts';
import type { Io } from './io.ts';

/** How the client came to trust the commit, in words. */
const POLICY_SOURCES = {
  local: 'verified here before',
  repository: 'fetched and verified here',
  gateway: 'sent by the gateway and verified here',
} as const;

/** @param masks what is masked, where something can be */
export function noteSession(
  io: Io,
  { reply, policy }: ClientSession,
  ...masks: readonly string[]
): void {
  const { limits } = reply;
  io.note(`session ${reply.session} to ${plain(reply.target.name)} (recorded)`);
  io.note(
    `policy ${policy.commit.slice(0, 12)}, signed by ${plain(policy.signer)}, ${POLICY_SOURCES[policy.source]}`,
  );
  for (const line of masks) {
    io.note(line);
  }
  io.note(
    `ends ${localTime(Date.parse(reply.expiresAt))}, or after ${durationWords(limits.idleTimeSeconds)} without use; at most ${plural(limits.maxConnections, 'connection')}`,
  );
}
