/**
 * The seam between the SSH side of the policy and the SSH engine: what somebody wants to do on a
 * server, and what the policy says to it. Plain, immutable data.
 */

import type { Network } from '../../../policy/address-class.ts';
import type { ConnectorRule } from '../../../policy/connector.ts';
import type { AllowedByRules, RefusedByRules } from '../../../policy/decide-by-rules.ts';
import type { PolicyTarget } from '../../../policy/policy.ts';
import type { Grant } from '../../../policy/types.ts';

/** A server that is reached with SSH. */
export interface SshPolicyTarget extends PolicyTarget {
  readonly kind: 'ssh';
  /**
   * Host keys of which the server must show one, as in known_hosts: `ssh-ed25519 AAAA…`. Never
   * learned: a key that is not here is refused.
   */
  readonly hostKeys: readonly string[];
  /** What is the server itself; undefined: the gateway asks it. */
  readonly ownAddresses?: readonly Network[] | undefined;
  /** Users that one can log in as, in place of `credential`; the first is the default. */
  readonly logins: readonly SshLogin[];
}

export interface SshLogin {
  readonly user: string;
  /** Name of a credential in the gateway's configuration. */
  readonly credential: string;
  /** Who may log in as this user. Empty: everybody. */
  readonly groups: readonly string[];
}

export function isServer(target: PolicyTarget): target is SshPolicyTarget {
  return target.kind === 'ssh';
}

export const SFTP_OPERATIONS = [
  'read',
  'write',
  'list',
  'stat',
  'setstat',
  'mkdir',
  'rmdir',
  'remove',
  'rename',
  'symlink',
  'readlink',
] as const;
export type SftpOperation = (typeof SFTP_OPERATIONS)[number];

/** What is decided. Names of rules for it in YAML: rule-schema.ts. */
export type SshAct =
  | { readonly kind: 'shell' }
  /** The command as the client sent it; undefined text: it is not UTF-8, and no rule can speak of it. */
  | {
      readonly kind: 'exec';
      readonly command: string | undefined;
      /** Why nobody could read it, as part of a sentence. */
      readonly unread?: string;
    }
  | { readonly kind: 'sftp' }
  /** Inside of sftp; paths are absolute and resolved by the target. `to`: of rename and symlink. */
  | {
      readonly kind: 'file';
      readonly operation: SftpOperation;
      readonly path: string;
      readonly to?: string;
    }
  | {
      readonly kind: 'forward';
      readonly host: string;
      readonly port: number;
      /** The host is the server that dials, by an address or the name that the gateway knows. */
      readonly isServer?: boolean;
    };

/** One rule of a policy, for servers. Empty lists: the rule says nothing about that. */
export interface SshRule extends ConnectorRule {
  readonly acts: readonly SshAct['kind'][];
  /** Login users on the target. Empty: any that the target offers. */
  readonly users: readonly string[];
  /** Of exec: patterns over the parsed argv of each simple command. */
  readonly commands: readonly CommandPattern[];
  /** Of exec: the rule is about commands that cannot be read, and about no others. */
  readonly unknown: boolean;
  /** Of files, and of redirections in commands: absolute, `*` within a folder, `**` across. */
  readonly paths: readonly string[];
  readonly operations: readonly SftpOperation[];
  /** Of forwards: `host:port`, `*` for any port. */
  readonly destinations: readonly string[];
}

export interface CommandPattern {
  /**
   * Words of an argv. `*` stands for any text within a word, alone for one word; `**` at the end
   * for any number of words; a backslash makes a star, or a backslash, one of the text.
   */
  readonly words: readonly string[];
  /** The whole command must be this and nothing else, and the gateway quotes it anew. */
  readonly exact: boolean;
}

/** `touches`: names of the programs that it starts; of files and forwards what is touched. */
export type SshVerdict = AllowedAct | RefusedByRules;

interface AllowedAct extends AllowedByRules {
  /** Of exec: what is sent to the target, where it is not what the client sent. */
  readonly command?: string;
}

/** Of one side of a grant. They were compiled by this connector's `rulesFrom`. */
export function sshRules({ own }: Pick<Grant, 'own'>): readonly SshRule[] {
  return (own?.rules ?? []) as readonly SshRule[];
}
