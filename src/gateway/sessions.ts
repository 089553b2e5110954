/** Makes sessions, finds them, and ends them when something outside of them says so. */
import { createHash, randomBytes } from 'node:crypto';
import { HoopError } from '../errors.ts';
import { requesterClaim } from '../policy/actor-name.ts';
import { maskedColumns } from '../policy/describe-grant.ts';
import type { StatementPolicy } from '../policy/sql/types.ts';
import type { Grant, Principal } from '../policy/types.ts';
import { issueCertificate } from '../recording/certificate.ts';
import type { GatewayKeys } from '../recording/gateway-keys.ts';
import { GatewayRecording, newRecordingKeys } from '../recording/gateway-recording.ts';
import type { RecordingStore } from '../recording/recording-store.ts';
import { newSessionId } from '../recording/session-id.ts';
import type { EndReason, RecordingEvent } from '../recording/types.ts';
import type { Secret } from '../secret.ts';
import {
  API_VERSION,
  type EndSessionReply,
  type SessionReply,
  type SessionRequest,
} from '../tunnel/api.ts';
import {
  type AccessGrant,
  type AccessGrants,
  accessEvent,
  accessGivenText,
} from './access-grants.ts';
import { actApprovals } from './approvals/act-approvals.ts';
import type { Approvals } from './approvals/approvals.ts';
import type { Estimates } from './approvals/estimates.ts';
import {
  type StatementApprovalsOptions,
  statementApprovals,
} from './approvals/statement-approvals.ts';
import { changedPostgresTarget } from './changed-postgres-target.ts';
import { currentSshTarget } from './current-ssh-target.ts';
import type { DiskRoom } from './disk-room.ts';
import type { GatewayPolicy } from './gateway-policy.ts';
import type { Authenticated } from './identity/identity.ts';
import type { RunOfLogin } from './identity/run-of-login.ts';
import { shownRun } from './identity/run-rights.ts';
import { LiveSession } from './live-session.ts';
import { errorFields, type Log } from './log.ts';
import type { SessionIndex } from './session-index.ts';
import type { SessionNonces } from './session-nonces.ts';
import { isSamePrincipal, SessionPlaces } from './session-places.ts';
import { SessionPrompts } from './session-prompts.ts';
import { authorizeSession, checkSessionRequest } from './session-request.ts';
import type { SessionService } from './session-service.ts';
import { systemResolver } from './ssh/name-resolver.ts';
import type { TargetCatalogs } from './target-catalogs.ts';
import type { SessionTarget, Targets } from './targets.ts';

export interface SessionsOptions {
  readonly policy: GatewayPolicy;
  readonly access: AccessGrants;
  /** Those of now: they are renewed while the gateway runs. */
  readonly keys: () => GatewayKeys;
  readonly store: RecordingStore;
  readonly index: SessionIndex;
  readonly nonces: SessionNonces;
  readonly targets: Targets;
  readonly catalogs: TargetCatalogs;
  readonly statements: StatementPolicy;
  readonly approvals: Approvals;
  readonly estimates: Estimates;
  readonly maskKey: Secret<Uint8Array>;
  readonly room: DiskRoom;
  readonly log: Log;
  readonly clock: () => number;
  /** @throws HoopError when the login has ended. */
  readonly requireLogin: (who: Authenticated) => Promise<void>;
  /** A session is closed and written. */
  readonly onEnded: () => void;
}

type SessionOpened = Extract<RecordingEvent, { type: 'session.open' }>;
type RecordedAgent = SessionOpened['agent'];
type RecordedRun = NonNullable<SessionOpened['run']>;

/** A session that begins in the same millisecond as its certificate must not be too early for it. */
const CLOCK_SLACK_MS = 60_000;
/** After its last possible moment a session may still cut, end and upload. */
const CERTIFICATE_SLACK_MS = 10 * 60_000;

export class Sessions {
  readonly #options: SessionsOptions;
  readonly #live = new Map<string, LiveSession>();
  readonly #places = new SessionPlaces();
  readonly #resolver = systemResolver();
  #isClosing = false;

  constructor(options: SessionsOptions) {
    this.#options = options;
    options.policy.onChange(() => this.#policyChanged());
    options.access.onChange((grant) => this.#accessChanged(grant));
  }

  get size(): number {
    return this.#live.size;
  }

  /** @throws HOOP_SESSION_UNKNOWN, also for somebody else's: one cannot tell which. */
  ownedBy(who: Authenticated, id: string): LiveSession {
    const session = this.#live.get(id);
    const isOwn = session !== undefined && isSamePrincipal(session.principal, who.principal);
    if (!isOwn || (who.run !== undefined && session.run !== who.run.id)) {
      throw new HoopError('HOOP_SESSION_UNKNOWN', 'there is no such live session');
    }
    return session;
  }

  find(id: string): LiveSession | undefined {
    return this.#live.get(id);
  }

  /**
   * Checks everything, then creates recording, certificate and index entry.
   * @throws HOOP_PROOF_INVALID, HOOP_ACCESS_DENIED, HOOP_LIMIT, HOOP_POLICY_MISMATCH, …
   */
  async create(who: Authenticated, request: SessionRequest): Promise<SessionReply> {
    if (this.#isClosing) {
      throw new HoopError('HOOP_UNREACHABLE', 'the gateway is shutting down');
    }
    const { nonces, policy, targets } = this.#options;
    const clientKey = checkSessionRequest(nonces, who, request);
    this.#options.room.checkForSession();
    const release = this.#places.reserve(who, [...this.#live.values()]);
    try {
      const { target, grant } = authorizeSession(policy, who, request);
      const resolved = await targets.resolve(target, who.principal, grant);
      return await this.#start({ who, request, clientKey, target: resolved, grant });
    } finally {
      release();
    }
  }

  /**
   * Ends one session from elsewhere, by its owner or an approver; resolves when it is closed.
   * @throws HOOP_SESSION_ENDED when something else ends it, or has
   */
  async endBy(id: string, who: Authenticated, reason?: string): Promise<EndSessionReply> {
    const session = this.#live.get(id);
    if (session === undefined || session.isEnding) {
      const when = session === undefined ? 'has ended' : 'is ending';
      throw new HoopError('HOOP_SESSION_ENDED', `the session ${when} already`);
    }
    const isOwner = isSamePrincipal(session.principal, who.principal);
    const by = isOwner ? 'its owner' : who.principal.name;
    const why = reason?.trim() ? `: ${reason.trim()}` : '';
    const endReason = isOwner ? 'closed' : 'revoked';
    const endMessage = `the hoop session was ended by ${by}${why}`;
    await session.end(endReason, endMessage);
    return { v: API_VERSION, session: id, endReason, endMessage };
  }

  /** A login has ended: so do the sessions that it opened. */
  revokeLogin(family: string): void {
    for (const session of this.#live.values()) {
      if (session.family === family) {
        this.#endLater(session, 'revoked', 'the login was ended');
      }
    }
  }

  /** Before the disk is full: afterwards their last cuts and ends could not be written. */
  endForWantOfRoom(): void {
    for (const session of this.#live.values()) {
      this.#endLater(session, 'disk_full', 'the gateway has too little room left to record');
    }
  }

  /** No new sessions; ends all, resolves when each is closed and written. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const ends = [...this.#live.values()].map((session) =>
      session.end('gateway_shutdown', 'the gateway is shutting down'),
    );
    await Promise.allSettled(ends);
  }

  async #start(start: {
    readonly who: Authenticated;
    readonly request: SessionRequest;
    readonly clientKey: Uint8Array;
    readonly target: SessionTarget;
    readonly grant: Grant;
  }): Promise<SessionReply> {
    const { who, request, clientKey, target, grant } = start;
    const reason = request.reason ?? who.run?.reason;
    const { store, index, clock, log, access } = this.#options;
    const keys = this.#options.keys();
    const { principal, family } = who;
    const nowMs = clock();
    const expiresMs = nowMs + grant.limits.maxTimeSeconds * 1000;
    const id = newSessionId(nowMs, randomBytes(16));
    const recordingKeys = newRecordingKeys();
    const certificate = issueCertificate(
      {
        session: id,
        gateway: keys.gateway,
        clientKey,
        gatewayKey: keys.gatewayKey.publicKey,
        saltKeySha256: createHash('sha256').update(recordingKeys.saltKey).digest(),
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
    const recording = await GatewayRecording.create({
      store,
      session: id,
      keys: recordingKeys,
      clientKey,
      gatewayKey: keys.gatewayKey,
      certificate,
    });
    try {
      recording.event({
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
      index.start({
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
      });
      for (const { id: temporary } of grant.temporary ?? []) {
        const known = access.find(temporary);
        if (known !== undefined) {
          const event = accessEvent('given', known, accessGivenText(known));
          recording.event(event);
          index.event(id, event);
        }
      }
    } catch (error) {
      await recording.close({ reason: 'recording_failed' });
      throw error;
    }
    const prompts = new SessionPrompts();
    const session = new LiveSession({
      id,
      principal,
      family,
      login: who.run?.login ?? family,
      run: who.run?.id,
      service: this.#service(target, {
        session: id,
        run: who.run?.id,
        principal,
        reason,
        prompt: () => prompts.current,
      }),
      grant,
      onGrantDue: () => access.endDue(),
      temporary: (temporary) => access.find(temporary),
      reason,
      prompts,
      recording,
      index,
      log,
      clock,
      onEnded: () => {
        this.#live.delete(id);
        this.#options.onEnded();
      },
    });
    this.#live.set(id, session);
    log.info('session.start', {
      session: id,
      target: target.name,
      principal: principal.name,
      agent: principal.agent,
      requester: principal.requester,
      run: who.run?.id,
      issuer: principal.issuer,
      sub: principal.sub,
      commit: grant.commit,
    });
    // While this was made the policy may have changed, or a shutdown have begun.
    session.setGrant(this.#options.policy.grant(principal, target.name)?.grant);
    if (this.#isClosing) {
      this.#endLater(session, 'gateway_shutdown', 'the gateway is shutting down');
    }
    // Before it was among the live ones no end of its login would have found it.
    await this.#options.requireLogin(who).catch(async (error: unknown) => {
      // Whoever is refused must not see it live afterwards.
      await this.#end(session, 'revoked', 'the login was ended');
      throw error;
    });
    return {
      v: API_VERSION,
      session: id,
      certificate,
      saltKey: Buffer.from(recordingKeys.saltKey).toString('base64'),
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

  #service(
    target: SessionTarget,
    session: Pick<StatementApprovalsOptions, 'session' | 'run' | 'principal' | 'reason' | 'prompt'>,
  ): SessionService {
    const { approvals, estimates, policy, clock, catalogs, statements, maskKey } = this.#options;
    const { targets } = this.#options;
    const { principal } = session;
    if (target.kind === 'ssh') {
      return {
        kind: 'ssh',
        target,
        currentTarget: currentSshTarget({ policy, targets, principal, name: target.name }),
        approvals: actApprovals({ ...session, approvals, target, policy, clock }),
        resolver: this.#resolver,
      };
    }
    return {
      kind: 'postgres',
      target,
      catalog: catalogs.source(target),
      catalogOf: (host) => catalogs.sourceOf(target, host),
      approvals: statementApprovals({ ...session, approvals, estimates, target, policy, clock }),
      policy: statements,
      maskKey,
      changed: changedPostgresTarget({ policy, targets, principal, target }),
    };
  }

  #policyChanged(): void {
    for (const session of this.#live.values()) {
      session.setGrant(this.#options.policy.grant(session.principal, session.targetName)?.grant);
    }
  }

  #accessChanged(grant: AccessGrant): void {
    for (const session of this.#live.values()) {
      if (session.targetName === grant.target && isSamePrincipal(session.principal, grant.holder)) {
        const now = this.#options.policy.grant(session.principal, session.targetName);
        session.setGrant(now?.grant, grant);
      }
    }
  }

  #endLater(session: LiveSession, reason: EndReason, message: string): void {
    void this.#end(session, reason, message);
  }

  /** Never rejects. */
  async #end(session: LiveSession, reason: EndReason, message: string): Promise<void> {
    await session.end(reason, message).catch((error: unknown) => {
      this.#options.log.error('session.end_failed', { session: session.id, ...errorFields(error) });
    });
  }
}

function targetReply(target: SessionTarget): SessionReply['target'] {
  const { name } = target;
  return target.kind === 'postgres'
    ? { kind: 'postgres', name, database: target.database, user: target.user }
    : { kind: 'ssh', name, users: target.logins.map(({ user }) => user), hearsNotCarried: true };
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

export function limitsReply({ limits }: Grant): SessionReply['limits'] {
  const { maxTimeSeconds, idleTimeSeconds, maxConnections, maxRows } = limits;
  return {
    maxTimeSeconds,
    idleTimeSeconds,
    maxConnections,
    ...(maxRows === undefined ? {} : { maxRows }),
  };
}
