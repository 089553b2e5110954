/**
 * The seam between the SSH side of the policy and the SSH engine: what somebody wants to do on a
 * server, and what the policy says to it. Plain, immutable data.
 */

import type {
  ApprovalDemand,
  ApprovalTerms,
  Refusal,
  RuleEffect,
  RuleRef,
} from '../../../policy/types.ts';

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
export interface SshRule {
  readonly effect: RuleEffect;
  readonly rule: RuleRef;
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
  readonly hint: string | undefined;
  /** Present with the effect `approve`. */
  readonly approval?: ApprovalTerms;
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

export type SshVerdict =
  | {
      readonly effect: 'allow';
      readonly rules: readonly RuleRef[];
      /** All of them must be satisfied; absent: at once. */
      readonly approvals?: readonly ApprovalDemand[];
      /** Of exec: what is sent to the target, where it is not what the client sent. */
      readonly command?: string;
      /** Names of the programs that it starts, for the index; of files and forwards: what is touched. */
      readonly touches: readonly string[];
    }
  | {
      readonly effect: 'refuse';
      readonly refusal: Refusal;
      readonly touches: readonly string[];
    };
