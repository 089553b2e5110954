/**
 * What the gateway asks of the connector of a protocol. Sessions, streams, recordings, grants and
 * requests for approval are the gateway's, and know no protocol: whoever starts it hands it a source
 * for each kind of target, and it asks that one. docs/design/0090-connectors.md says what passes where.
 */

import type { Duplex } from 'node:stream';
import type { SessionReply } from '../api/sessions.ts';
import type { HoopError } from '../errors.ts';
import type { PolicySource } from '../policy/connector.ts';
import type { MaskAlert } from '../policy/mask-alert.ts';
import type { Policy, PolicyTarget } from '../policy/policy.ts';
import type { GrantedTarget } from '../policy/principal-grant.ts';
import type { Grant, Principal } from '../policy/types.ts';
import type { Secret } from '../secret.ts';
import type { StreamKind } from '../stream-kinds.ts';
import type { SessionApprovalsOptions } from './approvals/session-approvals.ts';
import type { StreamAudit } from './audit/stream-audit.ts';
import type { GatewayPolicy } from './base/gateway-policy.ts';
import type { Log } from './base/log.ts';
import type { Store } from './store/store.ts';
import type { CredentialStore } from './targets/credential-store.ts';
import type { TargetHost } from './targets/target-host.ts';
import type { Targets } from './targets/targets.ts';

/** An entry of the registry, as the gateway needs it. */
export interface GatewaySource extends PolicySource {
  readonly streamKinds: readonly StreamKind[];
  /** What is counted of its sessions: statements, or how often each act was decided about. */
  readonly does: 'statements' | 'acts';
  gateway(): Promise<GatewayConnector>;
}

export interface GatewayConnector {
  /** Once for each gateway, before it listens. */
  open(services: GatewayServices): OpenConnector;
  /**
   * For `hoop gateway check`: logs in to the target. Its reader may know addresses.
   * @returns what was found there, in words
   * @throws HoopError why sessions on it would fail
   */
  check(services: CheckServices, target: PolicyTarget): Promise<string>;
  /** The same, of all targets together: what `OpenConnector.alerts` would say. Changes nothing. */
  findAlerts?(services: CheckServices, policy: Policy): Promise<readonly MaskAlert[]>;
}

/** Where targets are and how this gateway logs in there. */
export interface TargetServices {
  readonly targets: Pick<Targets, 'hosts'>;
  readonly credentials: CredentialStore;
  /** Longest message that is collected: what is collected takes the memory of everyone else. */
  readonly maxMessageBytes: number;
}

export interface CheckServices extends TargetServices {
  /** As the gateway's; nothing is to be written there. */
  readonly dataDirectory: string;
  readonly signal: AbortSignal;
}

/** All that a connector gets of the gateway besides its sessions. */
export interface GatewayServices extends TargetServices {
  readonly policy: GatewayPolicy;
  /** State that outlives a restart: tables of its own in there, files of its own beside it. */
  readonly kept: Store;
  readonly dataDirectory: string;
  /** 32 random bytes that belong to this gateway and never leave it. */
  readonly key: Secret<Uint8Array>;
  readonly log: Log;
  /** Wall clock, ms. */
  readonly clock: () => number;
}

/** Disposed of, where that means something, when no session is left. */
export interface OpenConnector extends Partial<AsyncDisposable> {
  /** A commit has come into force; before the sessions hear of it. */
  policyChanged?(policy: Policy): void;
  /** Masks whose names are not right any more. */
  alerts?(): readonly MaskAlert[];
  /**
   * A session is asked for, and may be had.
   * @throws HOOP_CONFIG when address or credential is missing: the operator's business
   */
  prepare(granted: GrantedTarget, principal: Principal): Promise<PreparedSession>;
}

export interface PreparedSession {
  /** What the client is told. */
  readonly reply: SessionReply['target'];
  /** Its recording has begun. */
  open(context: SessionContext): ConnectorSession;
}

/** One session, for as long as it lives. What its streams share (cancel keys, pools, a pace) is kept here. */
export interface ConnectorSession {
  /** Where its target is, for the operator's log. */
  readonly hosts: readonly TargetHost[];
  /** Of these kinds so many may be open at once; of the others as many as the grant says. */
  readonly streamLimits?: Readonly<Record<StreamKind, number>>;
  /** Until the stream is over. Rejects for faults of ours alone, and when it cannot be recorded. */
  serve(stream: ServedStream): Promise<StreamEnd>;
  /**
   * A commit is in force, or a temporary grant has begun or ended: `context.grant()` is another.
   * @param ended a temporary grant has ended: what runs only by it is to be cancelled
   * @returns why the session cannot go on, in words. Absent: it goes on, and asks for the grant each time
   */
  policyChanged?(granted: GrantedTarget, ended: boolean): string | undefined;
}

export interface ServedStream {
  readonly stream: number;
  /** One of the source's. */
  readonly kind: StreamKind;
  /**
   * What is read from it is in the record, as what is told to `audit`, whose `write` writes both.
   * What is written to it is written to the record before it leaves, with all before it.
   */
  readonly client: Duplex;
  readonly audit: StreamAudit;
  /** Aborted when the client takes no answers any more. */
  readonly clientLeft: AbortSignal;
}

export interface StreamEnd {
  readonly reason: string;
  /** What ended it, with its causes, which are for the operator alone. */
  readonly problem?: HoopError;
}

/** @param isBusy a statement or command runs: its session is not idle */
export type WatchWork = (isBusy: () => boolean) => () => void;

/** With whose requests for approval it asks. */
export interface SessionContext extends SessionApprovalsOptions {
  /** The grant in force now; it changes under a live session. */
  readonly grant: () => Grant;
  /** Something waits for approval. @returns how to say that it no longer does. */
  readonly onWaiting: () => () => void;
  /** Registers a stream on which something may run without a byte. @returns how to take it out */
  readonly watchWork: WatchWork;
  /** The session ends: engines say so to their clients and close. */
  readonly signal: AbortSignal;
}
