/**
 * Shapes shared by everything that writes, agrees on, carries or checks a recording.
 * Byte formats: docs/design/0002-recording.md.
 */
import type { z } from 'zod';
import type { CutAckSchema, CutProposalSchema } from '../../api/control.ts';
import type { View } from '../../api/view.ts';
import type { StreamKind } from '../../stream-kinds.ts';
import type { FileRecord } from './file-record.ts';

/** 0 = up (client → gateway), 1 = down (gateway → client). */
export type Direction = 0 | 1;
export const UP = 0;
export const DOWN = 1;

/** Stream 0 carries the evidence lines of the control channel; 1… are local connections. */
export const CONTROL_STREAM = 0;

export interface StreamOffsets {
  readonly stream: number;
  /** Bytes in each direction since the stream began. */
  readonly up: number;
  readonly down: number;
}

/** Proposed by the client, checked and countersigned by the gateway. */
export type CutProposal = z.infer<typeof CutProposalSchema>;
export type CutAck = z.infer<typeof CutAckSchema>;

/** Where a recording stands: the head after so many frames. */
export interface RecordingPoint {
  /** 32 bytes. */
  readonly head: Uint8Array;
  readonly frames: number;
}

/** One agreed cut as the manifest lists it. */
export interface AgreedCut {
  readonly proposal: CutProposal;
  readonly ack: CutAck;
}

/** Why a session ended; in the manifest and in the index. */
export const END_REASONS = [
  'closed',
  'expired',
  'revoked',
  'idle',
  'client_lost',
  'gateway_shutdown',
  'gateway_crash',
  'recording_failed',
  'disk_full',
  'store_unavailable',
  'disputed',
  'partition',
] as const;
export type EndReason = (typeof END_REASONS)[number];

/**
 * What a statement shows, uses and writes: the same each time that it runs. Columns are
 * `schema.relation.column` of tables, whatever view or function they came through; lists of an act on
 * a server are paths.
 */
export interface StatementFacts {
  /** Of one that was refused: what it would have read, shown or written. */
  readonly asked: readonly string[];
  /** What its outputs show unmasked. It was returned where the result has bytes. */
  readonly clear: readonly string[];
  /** The statement without constants, as a keyed digest of this gateway; absent: it is not known. */
  readonly fingerprint?: string;
  /** Detector classes that its rows are searched for; of any other nobody knows what was in them. */
  readonly looked: readonly string[];
  /** What cannot be told from the statement. Then it is not known to be nothing. */
  readonly unknown: readonly ('asked' | 'returned' | 'used' | 'written')[];
  /** Read, and not shown in clear: by conditions, joins, an order, or what is written. */
  readonly used: readonly string[];
  /** `schema.relation.*`: rows as a whole. */
  readonly written: readonly string[];
  /** The relations of these. */
  readonly writes: readonly string[];
}

/** Of one stream; the next one takes the place of the oldest. */
export const FACTS_PER_STREAM = 256;

/**
 * Facts that only the gateway knows, in the order in which they happened. `at` ties an event to
 * the byte of the up stream where its message starts. Encrypted like the data.
 */
export type RecordingEvent =
  | {
      readonly type: 'session.open';
      readonly session: string;
      readonly principal: { readonly issuer: string; readonly sub: string; readonly name: string };
      /** Name of the agent that acts, `itself` when the login is its own. */
      readonly agent?: { readonly name: string; readonly itself?: true } | undefined;
      /** For whom a workload works, as the issuer of its token says. */
      readonly requester?: { readonly name: string; readonly claimedBy: 'issuer' } | undefined;
      /** The run that opened it, and the run that that one was started in. */
      readonly run?:
        | {
            readonly id: string;
            readonly parent?: string | undefined;
            /** Name of its program, without arguments: a claim of the client. */
            readonly program?: string | undefined;
          }
        | undefined;
      readonly target: string;
      readonly reason: string | undefined;
      readonly policyCommit: string;
    }
  | {
      readonly type: 'session.close';
      readonly reason: EndReason;
      readonly message: string | undefined;
    }
  /** A temporary grant is part of what the session may do, or no longer. */
  | {
      readonly type: 'access';
      readonly change: 'given' | 'ended';
      readonly grant: string;
      /** The requestable policy. */
      readonly policy: string;
      readonly expiresMs: number;
      /** Why it was asked for. */
      readonly reason: string;
      readonly approvedBy: readonly string[];
      /** In words. */
      readonly message: string;
    }
  | { readonly type: 'stream.open'; readonly stream: number; readonly kind: StreamKind }
  | {
      readonly type: 'stream.close';
      readonly stream: number;
      readonly up: number;
      readonly down: number;
      readonly reason: string;
    }
  /** Decisions of the stream name them by `facts`, from now on, until others take that place. */
  | ({
      readonly type: 'facts';
      readonly stream: number;
      /** Below FACTS_PER_STREAM. */
      readonly facts: number;
    } & StatementFacts)
  | {
      readonly type: 'decision';
      readonly stream: number;
      /** Offset in the up stream of the Query, Parse or Bind message that was decided. */
      readonly at: number;
      /** Counts the statements of this stream from 1; several in one Query share `at`. */
      readonly statement: number;
      /** `fail`: no decision of the policy. SQL that does not parse, or a name that does not exist. */
      readonly effect: 'allow' | 'approve' | 'refuse' | 'fail';
      /** The place of the `facts` that hold for it; absent: nothing is known of it. */
      readonly facts?: number | undefined;
      readonly verbs: readonly string[];
      readonly relations: readonly string[];
      /** Masked columns that it filtered by or computed with, as their masks let it. */
      readonly columnsComputed?: readonly string[] | undefined;
      readonly columnsMasked: readonly string[];
      /** What comments of the statement say about where it comes from: claims of the client. */
      readonly comments?: Readonly<Record<string, string>> | undefined;
      /** Indexes (from 0) of the output columns whose values are masked, for replay. */
      readonly outputsMasked?: readonly number[] | undefined;
      readonly rules: readonly {
        readonly id: string;
        readonly file: string;
        readonly line: number;
        /** The temporary grant that it came with. */
        readonly grant?: string;
      }[];
      readonly code: string | undefined;
      readonly message: string | undefined;
      readonly policyCommit: string;
      /** Id of the prompt that was in force: a line of stream 0, and a claim of the client. */
      readonly prompt?: string | undefined;
      /**
       * What was asked for, for readers that do not know the protocol; absent where the bytes of the
       * stream are enough, as SQL is: it would stand in the recording twice.
       */
      readonly view?: View | undefined;
    }
  | {
      readonly type: 'result';
      readonly stream: number;
      readonly at: number;
      readonly statement: number;
      readonly rows: number;
      /** Of the rows or data that went to the client, as messages; of an act what came of it. */
      readonly bytes?: number | undefined;
      readonly maskedValues: number;
      /** Detector hits by class that were taken out, e.g. {card: 3}. */
      readonly detected: Readonly<Record<string, number>>;
      /** The same of those that went to the client in clear; absent: nobody looked. */
      readonly seen?: Readonly<Record<string, number>> | undefined;
      /** Of an act: bytes of the client's that it took. */
      readonly upBytes?: number | undefined;
      /** From when it was sent to the target to the end of its answer, microseconds. */
      readonly us?: number | undefined;
      readonly tag: string | undefined;
      readonly sqlState: string | undefined;
    }
  | {
      /** The message at `at` was about to compare so many values with masked columns. */
      readonly type: 'lookups';
      readonly stream: number;
      readonly at: number;
      /** Of Execute; absent: those of a Query, together. */
      readonly statement: number | undefined;
      readonly candidates: number;
      /** Of the day, after it. */
      readonly left: number;
    }
  | { readonly type: 'cancel'; readonly stream: number; readonly forStream: number | undefined }
  | {
      /** The message at `at` waits for a person, or has to be sent again once it is approved. */
      readonly type: 'approval.held';
      readonly stream: number;
      readonly at: number;
      readonly request: string;
      readonly needs: readonly {
        readonly rule: string;
        readonly groups: readonly string[];
        readonly count: number;
      }[];
      readonly waits: boolean;
      readonly waitsUntilMs: number;
      /** Digest of all that the approval is bound to, hex. */
      readonly binding: string;
      readonly policyCommit: string;
      /** What whoever decides was shown of it; absent in what was recorded before. */
      readonly view?: View;
    }
  | {
      readonly type: 'approval.vote';
      readonly stream: number;
      readonly at: number;
      readonly request: string;
      readonly by: { readonly issuer: string; readonly sub: string; readonly name: string };
      readonly decision: 'approve' | 'deny';
      readonly reason: string | undefined;
      readonly votedMs: number;
    }
  | {
      /** `released`: it goes to the target now. All others: it never did. */
      readonly type: 'approval.end';
      readonly stream: number;
      readonly at: number;
      readonly request: string;
      readonly outcome: ApprovalOutcome;
      readonly message: string | undefined;
      /** Of `released`: in force when it was decided again. */
      readonly policyCommit?: string;
    }
  | {
      readonly type: 'dispute';
      readonly epoch: number;
      readonly ours: string;
      readonly theirs: string;
    }
  | {
      readonly type: 'target';
      readonly stream: number;
      readonly server: string;
      readonly tls: boolean;
    }
  /** A stream of the kind `ssh` has reached its server. */
  | {
      readonly type: 'ssh.target';
      readonly stream: number;
      /** Identification of its software; untrusted. */
      readonly server: string;
      /** Who the gateway is logged in as. */
      readonly user: string;
      /** Fingerprint of the host key that it showed, `SHA256:…`. */
      readonly hostKey: string;
    }
  /** A channel is over, and this is what there was of it. */
  | {
      readonly type: 'ssh.channel';
      readonly stream: number;
      readonly channel: number;
      /** Offset in the up stream of the frame that opened it. */
      readonly at: number;
      /** Bytes of data, without frames. */
      readonly up: number;
      readonly down: number;
      readonly stderr: number;
      readonly exitStatus?: number;
      /** Without `SIG`. */
      readonly exitSignal?: string;
      /** Names of environment variables that the client sent and the target did not get. */
      readonly dropped?: readonly string[];
    }
  | ({
      readonly type: 'ssh.file';
      readonly stream: number;
      readonly channel: number;
    } & FileRecord);

/** `kept`: whoever waited has left, and the request waits on for the next try of the same run. */
export const APPROVAL_OUTCOMES = [
  'released',
  'denied',
  'expired',
  'withdrawn',
  'void',
  'kept',
] as const;
export type ApprovalOutcome = (typeof APPROVAL_OUTCOMES)[number];

/** For people, who have heard of approving and not of releasing. */
export function outcomeWord(outcome: ApprovalOutcome): string {
  switch (outcome) {
    case 'released':
      return 'approved';
    case 'kept':
      return 'waits on';
    default:
      return outcome;
  }
}
