/** What the client is told of the session that it was given, and of the limits of any. */

import { API_VERSION } from '../../api/http.ts';
import type { SessionReply } from '../../api/sessions.ts';
import type { Grant } from '../../policy/types.ts';
import { maskedColumns } from '../../policy/words/describe-grant.ts';
import type { BegunRecording } from './begin-recording.ts';

export function sessionReply(
  { id, certificate, saltKey, expiresMs }: BegunRecording,
  target: SessionReply['target'],
  grant: Grant,
): SessionReply {
  return {
    v: API_VERSION,
    session: id,
    certificate,
    saltKey: Buffer.from(saltKey).toString('base64'),
    policy: { commit: grant.commit },
    target,
    masked: maskedColumns(grant),
    detectors: [...grant.detectors],
    limits: limitsReply(grant),
    expiresAt: new Date(expiresMs).toISOString(),
    recording: grant.recording,
    ...(grant.terminal === undefined ? {} : { terminal: grant.terminal }),
  };
}

export function limitsReply({ limits }: Grant): SessionReply['limits'] {
  const { maxTimeSeconds, idleTimeSeconds, maxConnections, maxRows } = limits;
  const { changedRowsPerTransaction, changedRowsPerDay } = limits;
  return {
    maxTimeSeconds,
    idleTimeSeconds,
    maxConnections,
    ...(maxRows === undefined ? {} : { maxRows }),
    ...(changedRowsPerTransaction === undefined ? {} : { changedRowsPerTransaction }),
    ...(changedRowsPerDay === undefined ? {} : { changedRowsPerDay }),
  };
}
