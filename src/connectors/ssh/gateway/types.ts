/** What the SSH engine needs from the rest of the gateway; nothing else reaches it. */
import type { HoopError } from '../../../errors.ts';
import type { CommandAsk } from '../../../gateway/approvals/command-approvals.ts';
import type { OperationApprovals } from '../../../gateway/approvals/session-approvals.ts';
import type { ServedStream, WatchWork } from '../../../gateway/connector.ts';
import type { TargetHost } from '../../../gateway/targets/target-host.ts';
import type { Network } from '../../../policy/address-class.ts';
import type { Grant } from '../../../policy/types.ts';
import type { Secret } from '../../../secret.ts';
import type { SshAct, SshVerdict } from '../policy/types.ts';
import type { NameResolver } from './name-resolver.ts';

export interface SshTarget {
  readonly kind: 'ssh';
  readonly name: string;
  /** At least one; tried in this order. */
  readonly hosts: readonly TargetHost[];
  /** As in known_hosts, without the name: `ssh-ed25519 AAAA…`. The server must show one of them. */
  readonly hostKeys: readonly string[];
  /** Of the server itself, where the policy says them; undefined: the gateway asks it. */
  readonly ownAddresses?: readonly Network[] | undefined;
  /** At least one: who this principal may log in as. The first is for who does not say. */
  readonly logins: readonly SshTargetLogin[];
  /** For each host, from the first packet to the end of the login. */
  readonly connectTimeoutMs: number;
}

export interface SshTargetLogin {
  readonly user: string;
  /** Its name in the policy. */
  readonly credentialName: string;
  /** Reads it anew for each connection. @throws HOOP_CONFIG */
  readonly credential: () => Promise<SshCredential>;
}

/** The target as the policy of now has it: a commit may change it under a live session. */
export interface CurrentSshTarget {
  /** For a new connection. @throws HOOP_ACCESS_DENIED, HOOP_CONFIG */
  now(): Promise<SshTarget>;
  /**
   * Whether what a connection was made by still holds; after each `onGrantChanged`.
   * @param server where it is, and the fingerprint of the key that it showed
   * @returns why it does not, for the client
   */
  revoked(
    login: SshTargetLogin,
    server: { readonly host: TargetHost; readonly fingerprint: string },
  ): HoopError | undefined;
}

export interface SshCredential {
  readonly password: Secret<string> | undefined;
  /** PEM or OpenSSH's format, without a passphrase. */
  readonly privateKey: Secret<string> | undefined;
}

/** An act that must not happen before others have approved it. */
export interface ActAsk extends CommandAsk {
  readonly act: SshAct;
  /** Who it would be on the target. */
  readonly user: string;
  /** What is sent to the target, where it is not what the client sent. */
  readonly command: string | undefined;
  readonly touches: readonly string[];
}

export type SshApprovals = OperationApprovals<ActAsk>;

/** `client` is frames of connectors/ssh/protocol. */
export interface SshStreamOptions extends Omit<ServedStream, 'kind'> {
  readonly target: SshTarget;
  /** Absent: the target stays as it is. */
  readonly currentTarget?: CurrentSshTarget;
  /** The grant in force now; it changes under a live session when a new policy commit arrives. */
  readonly grant: () => Grant;
  /** @returns how to stop listening */
  readonly onGrantChanged?: (listener: () => void) => () => void;
  readonly decide: (grant: Grant, user: string, act: SshAct) => SshVerdict;
  /** As `decide`; what would take long there is read elsewhere. Absent: `decide`. */
  readonly judge?: (grant: Grant, user: string, act: SshAct) => SshVerdict | Promise<SshVerdict>;
  readonly approvals: SshApprovals;
  /** Of names that are forwarded to. */
  readonly resolver: NameResolver;
  /** Something waits for approval. @returns how to say that it no longer does. */
  readonly onWaiting?: () => () => void;
  /** Absent: the stream has no session that could be idle. */
  readonly watchWork?: WatchWork;
  /** Session end: the engine tells every channel why, then closes. */
  readonly signal: AbortSignal;
  /** For tests. */
  readonly limits?: Partial<SshStreamLimits>;
}

export interface SshStreamLimits {
  /** From the opening of the stream to the client's hello. */
  readonly helloWithinMs: number;
  /** Nothing heard from the target for so long: it is asked whether it is there. */
  readonly keepAliveMs: number;
  /** Bytes to and from the target after which keys are exchanged anew; RFC 4253 §9 says 1 GiB. */
  readonly rekeyBytes: number;
  /** The same, after so long. */
  readonly rekeyMs: number;
  /** Bytes for the target that wait, of a server that asks on and on and does not read the answers. */
  readonly unreadBytes: number;
}
