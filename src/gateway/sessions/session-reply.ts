/** What the client is told of the session that it was given, and of the limits of any. */

import { API_VERSION } from '../../api/http.ts';
import type { SessionReply } from '../../api/sessions.ts';
import { maskedColumns } from '../../policy/describe-grant.ts';
import type { Grant } from '../../policy/types.ts';
import type { SessionTarget } from '../targets/targets.ts';
import type { BegunRecording } from './begin-recording.ts';

export function sessionReply(
  { id, certificate, saltKey, expiresMs }: BegunRecording,
  target: SessionTarget,
  grant: Grant,
): SessionReply {
  return {
    v: API_VERSION,
    session: id,
    certificate,
    saltKey: Buffer.from(saltKey).toString('base64'),
    policy: { commit: grant.commit },
    target: targetReply(target),
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

function targetReply(target: SessionTarget): SessionReply['target'] {
  const { name } = target;
  return target.kind === 'postgres'
    ? { kind: 'postgres', name, database: target.database, user: target.user }
    : { kind: 'ssh', name, users: target.logins.map(({ user }) => user), hearsNotCarried: true };
}
