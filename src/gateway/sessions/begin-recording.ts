/**
 * With what a session is on record from its first moment: the certificate that both sides sign
 * under, the recording with its `session.open`, the entry in the index, and the temporary grants it
 * begins with. All of it is there before anything can be done in the session.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { SessionRequest } from '../../api/sessions.ts';
import { requesterClaim } from '../../policy/actor-name.ts';
import type { PolicyTarget } from '../../policy/policy.ts';
import type { Grant, Principal } from '../../policy/types.ts';
import type { RecordingEvent } from '../../recording/formats/types.ts';
import { issueCertificate } from '../../recording/keys/certificate.ts';
import type { GatewayKeys } from '../../recording/keys/gateway-keys.ts';
import {
  GatewayRecording,
  newRecordingKeys,
  type RecordingLease,
} from '../../recording/write/gateway-recording.ts';
import type { RecordingStore } from '../../recording/write/recording-store.ts';
import { newSessionId } from '../../session-id.ts';
import { type AccessGrants, accessEvent, accessGivenText } from '../access/access-grants.ts';
import type { Authenticated } from '../identity/identity.ts';
import type { RunOfLogin } from '../identity/run-of-login.ts';
import { shownRun } from '../identity/run-rights.ts';
import type { SessionIndex } from '../index/session-index.ts';

export interface BeginRecordingOptions {
  readonly store: RecordingStore;
  readonly index: SessionIndex;
  readonly access: Pick<AccessGrants, 'seen'>;
  readonly keys: GatewayKeys;
  readonly lease: RecordingLease;
  /** Wall clock, ms. */
  readonly nowMs: number;
}

/** What was asked for, and by whom; all of it is checked. */
export interface SessionStart {
  readonly who: Authenticated;
  readonly request: SessionRequest;
  readonly clientKey: Uint8Array;
  readonly target: Pick<PolicyTarget, 'name' | 'kind'>;
  readonly grant: Grant;
  readonly reason: string | undefined;
}

export interface BegunRecording {
  /** Of the session. */
  readonly id: string;
  readonly recording: GatewayRecording;
  readonly certificate: string;
  readonly saltKey: Uint8Array;
  /** Wall clock, ms: the end of the session's longest possible time. */
  readonly expiresMs: number;
}

type SessionOpened = Extract<RecordingEvent, { type: 'session.open' }>;
type RecordedAgent = SessionOpened['agent'];
type RecordedRun = NonNullable<SessionOpened['run']>;

/** A session that begins in the same millisecond as its certificate must not be too early for it. */
const CLOCK_SLACK_MS = 60_000;
/** After its last possible moment a session may still cut, end and upload. */
const CERTIFICATE_SLACK_MS = 10 * 60_000;

/** @throws when the recording or the index cannot be written; the recording is closed then. */
export async function beginRecording(
  options: BeginRecordingOptions,
  start: SessionStart,
): Promise<BegunRecording> {
  const { store, keys, nowMs } = options;
  const { clientKey, grant } = start;
  const expiresMs = nowMs + grant.limits.maxTimeSeconds * 1000;
  const id = newSessionId(nowMs, randomBytes(16));
  const recordingKeys = newRecordingKeys();
  const { saltKey } = recordingKeys;
  const certificate = certify(options, start, { id, saltKey, expiresMs });
  const recording = await GatewayRecording.create({
    store,
    session: id,
    keys: recordingKeys,
    clientKey,
    gatewayKey: keys.gatewayKey,
    certificate,
    lease: options.lease,
  });
  const begun = { id, recording, certificate, saltKey, expiresMs };
  try {
    await writeOpening(options, start, begun);
  } catch (error) {
    await recording.close({ reason: 'recording_failed' });
    throw error;
  }
  return begun;
}

function certify(
  { keys, nowMs }: BeginRecordingOptions,
  { who, request, clientKey, target, grant }: SessionStart,
  { id, saltKey, expiresMs }: Pick<BegunRecording, 'id' | 'saltKey' | 'expiresMs'>,
): string {
  const { principal } = who;
  return issueCertificate(
    {
      session: id,
      gateway: keys.gateway,
      clientKey,
      gatewayKey: keys.gatewayKey.publicKey,
      saltKeySha256: createHash('sha256').update(saltKey).digest(),
      issuer: principal.issuer,
      subject: principal.sub,
      name: principal.name,
      audience: who.audience,
      authTime: who.authTime,
      claimsSha256: who.claimsSha256,
      jkt: who.jkt,
      act:
        principal.agent === undefined && who.run === undefined
          ? undefined
          : {
              agent: principal.agent,
              isAgent: principal.isAgent === true,
              run: who.run?.id,
            },
      requester: principal.requester,
      target: target.name,
      policy: { commit: grant.commit, sha256: undefined },
      cli: { version: request.cli.version, sha256: undefined },
      notBeforeMs: nowMs - CLOCK_SLACK_MS,
      notAfterMs: expiresMs + CERTIFICATE_SLACK_MS,
      clientNonce: Buffer.from(request.clientNonce, 'base64'),
    },
    keys.sessionCa,
  );
}

async function writeOpening(
  { index, access, nowMs }: BeginRecordingOptions,
  { who, request, target, grant, reason }: SessionStart,
  { id, recording, expiresMs }: BegunRecording,
): Promise<void> {
  const { principal, family } = who;
  recording.writer.event({
    type: 'session.open',
    session: id,
    principal: { issuer: principal.issuer, sub: principal.sub, name: principal.name },
    agent: actingAgent(principal),
    ...requesterClaim(principal.requester),
    run: who.run && recordedRun(who.run),
    target: target.name,
    reason,
    policyCommit: grant.commit,
  });
  await index.start({
    id,
    target: target.name,
    kind: target.kind,
    principal,
    family,
    run: who.run?.id,
    parentRun: who.run?.parent,
    program: who.run?.program,
    reason,
    policyCommit: grant.commit,
    recording: grant.recording,
    clientVersion: request.cli.version,
    startedMs: nowMs,
    expiresMs,
    from: who.from,
  });
  for (const { id: temporary } of grant.temporary ?? []) {
    const known = access.seen(temporary);
    if (known !== undefined) {
      const event = accessEvent('given', known, accessGivenText(known));
      recording.writer.event(event);
      index.event(id, event);
    }
  }
}

function recordedRun(run: RunOfLogin): RecordedRun {
  const { program } = run;
  return { ...shownRun(run), ...(program === undefined ? {} : { program }) };
}

function actingAgent({ agent, isAgent }: Principal): RecordedAgent | undefined {
  return agent === undefined
    ? undefined
    : { name: agent, ...(isAgent === true ? { itself: true } : {}) };
}
