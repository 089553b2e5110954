/** Makes sessions, finds them, and ends them when something outside of them says so. */

import type { EventParty } from '../../api/events.ts';
import { API_VERSION } from '../../api/http.ts';
import type { EndSessionReply, SessionReply, SessionRequest } from '../../api/sessions.ts';
import { HoopError } from '../../errors.ts';
import { redactedText } from '../../masking/redacted-text.ts';
import type { Principal } from '../../policy/types.ts';
import type { EndReason } from '../../recording/formats/types.ts';
import type { GatewayKeys } from '../../recording/keys/gateway-keys.ts';
import type { RecordingLease } from '../../recording/write/gateway-recording.ts';
import type { RecordingStore } from '../../recording/write/recording-store.ts';
import type { AccessGrant, AccessGrants } from '../access/access-grants.ts';
import type { Approvals } from '../approvals/approvals.ts';
import type { SessionApprovalsOptions } from '../approvals/session-approvals.ts';
import type { DiskRoom } from '../base/disk-room.ts';
import type { GatewayPolicy } from '../base/gateway-policy.ts';
import { errorFields, type Log } from '../base/log.ts';
import type { Blocks } from '../blocks/blocks.ts';
import type { PreparedSession } from '../connector.ts';
import type { Connectors } from '../connectors.ts';
import type { AuditEvents } from '../events/audit-events.ts';
import { eventParty } from '../events/event-party.ts';
import { type Block, blockText, meansPrincipal } from '../identity/block.ts';
import type { Authenticated, LoginStanding } from '../identity/identity.ts';
import type { IndexedSession } from '../index/indexed-session.ts';
import type { SessionIndex } from '../index/session-index.ts';
import type { GatewayMetrics } from '../metrics/gateway-metrics.ts';
import type { EndCommand, NodeCommands } from '../nodes/node-commands.ts';
import type { PolicyHead } from '../nodes/policy-head.ts';
import { isStoreFault, type StoreWatch } from '../store/store-watch.ts';
import { beginRecording, type SessionStart } from './begin-recording.ts';
import { endElsewhere } from './end-elsewhere.ts';
import { LiveSession } from './live-session.ts';
import { tellRefusedSession } from './refused-session.ts';
import type { SessionNonces } from './session-nonces.ts';
import { isSamePrincipal, SessionPlaces } from './session-places.ts';
import { SessionPrompts } from './session-prompts.ts';
import { sessionReply } from './session-reply.ts';
import { authorizeSession, checkSessionRequest } from './session-request.ts';

export interface SessionsOptions {
  readonly policy: GatewayPolicy;
  readonly access: AccessGrants;
  readonly approvals: Approvals;
  readonly blocks: Pick<Blocks, 'require'>;
  readonly kept: Pick<StoreWatch, 'requirePresent'>;
  /** Those of now: they are renewed while the gateway runs. */
  readonly keys: () => GatewayKeys;
  readonly store: RecordingStore;
  readonly lease: RecordingLease;
  readonly index: SessionIndex;
  readonly nonces: SessionNonces;
  readonly policyHead: Pick<PolicyHead, 'require'>;
  readonly nodeId: string;
  readonly commands: Pick<NodeCommands, 'end'>;
  readonly connectors: Connectors;
  readonly room: DiskRoom;
  readonly log: Log;
  readonly clock: () => number;
  /** What a login is worth now. @throws HoopError when it has ended, or is worth nothing. */
  readonly requireLogin: (who: Pick<Authenticated, 'family'>) => Promise<LoginStanding>;
  /** @returns how many logins ended, with those that were made from it */
  readonly endLogin: (family: string, why: string, by: Principal) => Promise<number>;
  readonly events: Pick<AuditEvents, 'tellLimited'>;
  readonly metrics: Pick<GatewayMetrics, 'recorded'>;
  /** A session is closed and written. */
  readonly onEnded: () => void;
}

const SHUTTING_DOWN = 'the gateway is being stopped by whoever runs it';
const TAKEN_OVER = 'the gateway was taken over by another one';

export class Sessions {
  readonly #options: SessionsOptions;
  readonly #live = new Map<string, LiveSession>();
  /** What the login of each is worth, as of its last look. */
  readonly #standing = new Map<string, LoginStanding & { readonly look: number }>();
  /** The store could not say what their login is worth: asked again until it can, or has been away too long. */
  readonly #unknown = new Set<string>();
  /** Whose login is being looked at by `checkLogins`. */
  readonly #looking = new Set<string>();
  /** How often a login was looked at: answers may come in another order. */
  #looks = 0;
  readonly #places = new SessionPlaces();
  readonly #endedBytes = { up: 0, down: 0 };
  /** Why no session begins any more. */
  #closing: typeof SHUTTING_DOWN | typeof TAKEN_OVER | undefined;

  constructor(options: SessionsOptions) {
    this.#options = options;
    options.policy.onChange(() => this.reconsider());
    options.access.onChange((grant) => this.#accessChanged(grant));
  }

  get size(): number {
    return this.#live.size;
  }

  /** Live sessions by the name of their target. */
  liveByTarget(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { targetName } of this.#live.values()) {
      counts.set(targetName, (counts.get(targetName) ?? 0) + 1);
    }
    return counts;
  }

  /** Bytes of all sessions since the start, of live ones up to now. */
  relayedBytes(): { readonly up: number; readonly down: number } {
    const sum = { ...this.#endedBytes };
    for (const { totals } of this.#live.values()) {
      sum.up += totals.upBytes;
      sum.down += totals.downBytes;
    }
    return sum;
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
    try {
      return await this.#create(who, request);
    } catch (error) {
      if (error instanceof HoopError) {
        const isTarget =
          this.#options.policy.current()?.policy.targets.has(request.target) === true;
        tellRefusedSession(this.#options.events, { who, request, code: error.code, isTarget });
      }
      throw error;
    }
  }

  async #create(who: Authenticated, request: SessionRequest): Promise<SessionReply> {
    if (this.#closing === TAKEN_OVER) {
      throw new HoopError('HOOP_UNREACHABLE', TAKEN_OVER, {
        hint: 'Whoever runs it must start it again. Another gateway with the same store may let you in.',
      });
    }
    if (this.#closing !== undefined) throw new HoopError('HOOP_UNREACHABLE', this.#closing);
    const { nonces, policy, connectors, kept } = this.#options;
    kept.requirePresent();
    const clientKey = await checkSessionRequest(nonces, who, request);
    this.#options.room.checkForSession();
    await this.#options.policyHead.require();
    const release = this.#places.reserve(who, [...this.#live.values()]);
    try {
      this.#options.blocks.require(who.principal, request.target);
      const { target, grant } = authorizeSession(policy, who, request);
      const granted = { target, grant };
      const prepared = await connectors.of(target.kind).prepare(granted, who.principal);
      return await this.#start({ who, request, clientKey, target, grant }, prepared);
    } finally {
      release();
    }
  }

  /**
   * Ends one session from elsewhere, by its owner or an approver; resolves when it is closed. That
   * of a run ends with the run's login: its next statement would open another session otherwise.
   * @throws HOOP_SESSION_ENDED when something else ends it, or has; HOOP_OTHER_NODE
   */
  async endBy(
    found: IndexedSession,
    who: Authenticated,
    { reason, login: alsoLogin }: { readonly reason?: string; readonly login?: boolean },
  ): Promise<EndSessionReply> {
    const { id } = found.summary;
    const session = this.#live.get(id);
    const isElsewhere = found.owner.id !== this.#options.nodeId && found.endedMs === undefined;
    if (!isElsewhere && (session === undefined || session.isEnding)) {
      const when = session === undefined ? 'has ended' : 'is ending';
      throw new HoopError('HOOP_SESSION_ENDED', `the session ${when}`);
    }
    const isOwner = isSamePrincipal(found, who.principal);
    const by = isOwner ? 'its owner' : who.principal.name;
    const why = reason?.trim() ? `: ${reason.trim()}` : '';
    const endReason = isOwner ? 'closed' : 'revoked';
    const endMessage = `the hoop session was ended by ${by}${why}`;
    // First the session: that its login has ended would be its reason otherwise.
    const party = eventParty(who.principal);
    const command = { session: id, reason: endReason, message: endMessage, by: party } as const;
    const ended = session?.end(endReason, endMessage, party) ?? this.#endElsewhere(found, command);
    // Whoever waits for it does so further down.
    ended.catch(() => undefined);
    const isRun = found.summary.run !== undefined && who.run === undefined;
    const login = found.login ?? found.family;
    const family = alsoLogin === true ? login : isRun ? found.family : undefined;
    const logins =
      family === undefined
        ? 0
        : await this.#options.endLogin(family, `the login was ended by ${by}${why}`, who.principal);
    await ended;
    return { v: API_VERSION, session: id, endReason, endMessage, logins };
  }

  #endElsewhere(found: IndexedSession, command: EndCommand): Promise<void> {
    return endElsewhere(this.#options, found.owner.id, command);
  }

  /** The live ones of a run. */
  ofRun(run: string): readonly LiveSession[] {
    return [...this.#live.values()].filter((session) => session.run === run);
  }

  /** A login has ended: so do the sessions that it opened. */
  revokeLogin(family: string, why = 'the login was ended'): void {
    for (const session of this.#live.values()) {
      if (session.family === family) {
        this.#endLater(session, 'revoked', why);
      }
    }
  }

  /**
   * Ends the sessions of whom a new block keeps out.
   * @returns how many
   */
  endBlocked(block: Block): number {
    const blocked = [...this.#live.values()].filter(
      ({ principal, targetName, isEnding }) =>
        !isEnding &&
        (block.target === undefined || block.target === targetName) &&
        meansPrincipal(block, principal),
    );
    for (const session of blocked) {
      this.#endLater(session, 'revoked', blockText(block));
    }
    return blocked.length;
  }

  /** Its provider has confirmed a login, and may say something else of its person now. */
  loginConfirmed(family: string): void {
    for (const session of this.#live.values()) {
      if (session.family === family || session.login === family) {
        void this.#lookAtLogin(session);
      }
    }
  }

  /**
   * Ends those whose provider has not confirmed their login in time, or whose login is over where the
   * policy says how long one lasts. To be called each second.
   */
  checkLogins(): void {
    const nowMs = this.#options.clock();
    for (const session of this.#live.values()) {
      const { freshUntilMs, endsAtMs, endsSessions } = this.#standing.get(session.id) ?? {};
      const isOver = endsSessions && endsAtMs !== undefined && endsAtMs <= nowMs;
      const isDue = isOver || (freshUntilMs !== undefined && freshUntilMs <= nowMs);
      if (!(isDue || this.#unknown.has(session.id)) || this.#looking.has(session.id)) continue;
      this.#looking.add(session.id);
      void this.#lookAtLogin(session).finally(() => this.#looking.delete(session.id));
    }
  }

  /** This node was taken over: what it did from now on would be signed by nobody. */
  endForLostLease(): void {
    this.#closing = TAKEN_OVER;
    for (const session of this.#live.values()) {
      this.#endLater(session, 'gateway_crash', TAKEN_OVER);
    }
  }

  /** Another node has ended a login, or confirmed it with other groups. */
  loginsChanged(): void {
    for (const session of this.#live.values()) void this.#lookAtLogin(session);
  }

  /** Somebody has ended it at another node. */
  endAsked({ session: id, reason, message, by }: EndCommand): void {
    const session = this.#live.get(id);
    if (session !== undefined) this.#endLater(session, reason, message, by);
  }

  /** Nothing can be decided, nor be said of who is logged in, and that has been so for too long. */
  endForWantOfStore(seconds: number): void {
    for (const session of this.#live.values()) {
      const message = `the gateway’s store has not answered for ${seconds} s`;
      this.#endLater(session, 'store_unavailable', message);
    }
  }

  /** Who has them. */
  principals(): readonly Principal[] {
    return [...this.#live.values()].map((session) => this.#holder(session));
  }

  /** Before the disk is full: afterwards their last cuts and ends could not be written. */
  endForWantOfRoom(): void {
    for (const session of this.#live.values()) {
      this.#endLater(session, 'disk_full', 'the gateway has too little room left to record');
    }
  }

  /** A commit, or the gateway's configuration, has changed what sessions rest on. */
  reconsider(): void {
    for (const session of this.#live.values()) {
      session.setGrant(this.#options.policy.grant(this.#holder(session), session.targetName));
      void this.#lookAtLogin(session);
    }
  }

  /** No new sessions; ends all, resolves when each is closed and written. */
  async close(): Promise<void> {
    this.#closing ??= SHUTTING_DOWN;
    const ends = [...this.#live.values()].map((session) =>
      session.end('gateway_shutdown', SHUTTING_DOWN),
    );
    await Promise.allSettled(ends);
  }

  async #start(
    start: Omit<SessionStart, 'reason'>,
    prepared: PreparedSession,
  ): Promise<SessionReply> {
    const { who, request, target, grant } = start;
    const reason = request.reason ?? who.run?.reason;
    const { store, index, clock, log, access, policy, approvals, connectors, lease } =
      this.#options;
    await lease.require();
    const { principal, family } = who;
    const begun = await beginRecording(
      { store, index, access, lease, keys: this.#options.keys(), nowMs: clock() },
      { ...start, reason },
    );
    const { id, recording } = begun;
    const detectors = () => policy.grant(principal, target.name)?.grant.detectors;
    const prompts = new SessionPrompts((text) =>
      redactedText(text, detectors() ?? grant.detectors),
    );
    const asking: SessionApprovalsOptions = {
      ...{ approvals, policy, clock, session: id },
      run: who.run?.id,
      principal,
      reason,
      prompt: () => prompts.current,
    };
    const session = new LiveSession({
      id,
      principal,
      family,
      login: who.run?.login ?? family,
      run: who.run?.id,
      opening: {
        target: target.name,
        kind: target.kind,
        streamKinds: connectors.streamKindsOf(target.kind),
        open: (streams) => prepared.open({ ...asking, ...streams }),
      },
      grant,
      onGrantDue: () => access.endDue(),
      temporary: (temporary) => access.seen(temporary),
      reason,
      prompts,
      recording,
      index,
      log,
      clock,
      metrics: this.#options.metrics,
      onEnded: () => {
        this.#live.delete(id);
        const { upBytes, downBytes } = session.totals;
        this.#endedBytes.up += upBytes;
        this.#endedBytes.down += downBytes;
        this.#standing.delete(id);
        this.#unknown.delete(id);
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
      from: who.from,
      commit: grant.commit,
    });
    // While this was made the policy may have changed, or a shutdown have begun.
    session.setGrant(this.#options.policy.grant(principal, target.name));
    if (this.#closing !== undefined) {
      const reason = this.#closing === TAKEN_OVER ? 'gateway_crash' : 'gateway_shutdown';
      this.#endLater(session, reason, this.#closing);
    }
    // Before it was among the live ones no end or change of its login would have found it.
    this.#looks += 1;
    const look = this.#looks;
    const standing = await this.#options.requireLogin(who).catch(async (error: unknown) => {
      // Whoever is refused must not see it live afterwards.
      await this.#end(session, 'revoked', 'the login was ended');
      throw error;
    });
    this.#stands(session, look, standing);
    return sessionReply(begun, prepared.reply, grant);
  }

  /** Whoever has the session, with the groups of now. */
  #holder(session: LiveSession): Principal {
    return this.#standing.get(session.id)?.principal ?? session.principal;
  }

  /** Ends a session whose login is worth nothing any more; else it has what its person has now. */
  async #lookAtLogin(session: LiveSession): Promise<void> {
    this.#looks += 1;
    const look = this.#looks;
    try {
      this.#stands(session, look, await this.#options.requireLogin(session));
    } catch (error) {
      if (isStoreFault(error)) {
        if (this.#live.has(session.id)) this.#unknown.add(session.id);
        return;
      }
      const why = error instanceof HoopError ? error.message : 'the login cannot be read';
      await this.#end(session, 'revoked', why);
    }
  }

  /** Unless a later look was answered before: what that has taken away does not come back. */
  #stands(session: LiveSession, look: number, standing: LoginStanding): void {
    const { id, targetName } = session;
    if (!this.#live.has(id) || (this.#standing.get(id)?.look ?? 0) > look) return;
    this.#unknown.delete(id);
    this.#standing.set(id, { ...standing, look });
    session.setGrant(this.#options.policy.grant(standing.principal, targetName));
  }

  #accessChanged(grant: AccessGrant): void {
    for (const session of this.#live.values()) {
      if (session.targetName === grant.target && isSamePrincipal(session.principal, grant.holder)) {
        const now = this.#options.policy.grant(this.#holder(session), session.targetName);
        session.setGrant(now, grant);
      }
    }
  }

  #endLater(session: LiveSession, reason: EndReason, message: string, by?: EventParty): void {
    void this.#end(session, reason, message, by);
  }

  /** Never rejects. */
  async #end(
    session: LiveSession,
    reason: EndReason,
    message: string,
    by?: EventParty,
  ): Promise<void> {
    await session.end(reason, message, by).catch((error: unknown) => {
      this.#options.log.error('session.end_failed', { session: session.id, ...errorFields(error) });
    });
  }
}
