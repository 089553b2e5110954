/**
 * What a recorded session looks like to a person: connections, statements with their decisions
 * and results, and the events around them. Plain data; all text is as recorded, so whoever shows
 * it must filter it (ui/text/printable.ts).
 */

import type { View } from '../api/view.ts';
import type { FileRecord } from '../recording/formats/file-record.ts';
import type { PromptLine } from '../recording/formats/prompt.ts';
import type { RecordingEvent } from '../recording/formats/types.ts';
import type { EvidenceLine } from '../recording/verify/evidence-lines.ts';

/** Times are milliseconds since the epoch, by the gateway's clock. */
export type TimelineEntry =
  | Recorded<'session.open' | 'target' | 'ssh.target' | 'cancel' | 'access' | 'dispute'>
  | SessionClosed
  | ConnectionOpened
  | ConnectionClosed
  | Statement
  | Notice
  | Prompt
  | Evidence
  | Lost
  | Unreadable;

/** An event as it was recorded. */
type Recorded<T extends RecordingEvent['type']> = Extract<RecordingEvent, { type: T }> & {
  readonly timeMs: number;
};

interface SessionClosed {
  readonly type: 'session.close';
  readonly timeMs: number;
  readonly reason: string;
  /** A `closing` line of stream 0, which both sides signed, has said the same before. */
  readonly isAnnounced: boolean;
  readonly message: string | undefined;
}

interface ConnectionOpened {
  readonly type: 'connection.open';
  readonly timeMs: number;
  readonly stream: number;
  /** From the StartupMessage. */
  readonly user: string | undefined;
  readonly database: string | undefined;
  readonly application: string | undefined;
}

interface ConnectionClosed {
  readonly type: 'connection.close';
  readonly timeMs: number;
  readonly stream: number;
  readonly reason: string;
  readonly up: number;
  readonly down: number;
}

export type Outcome =
  | 'ok'
  | 'denied'
  | 'failed'
  /** Behind a failure in the same pipeline: the server did not look at it. */
  | 'skipped'
  /** Parsed under a name and not run in the same breath. */
  | 'prepared'
  /** The recording ends before the server's answer does. */
  | 'unanswered';

export interface Statement {
  readonly type: 'statement';
  /** Counts the statements of the session from 1, in the order in which they began. */
  readonly number: number;
  readonly stream: number;
  /** Offset in the up stream of the message that began it: Query, Execute, Parse or FunctionCall. */
  readonly at: number;
  readonly protocol: 'simple' | 'extended' | 'function call' | ActKind;
  /** SQL text, or the command, the path, the `host:port`; cut to the limit of the reader. */
  readonly text: string;
  /** Bytes of the whole text. */
  readonly textLength: number;
  /** Name of the prepared statement, empty for the unnamed one. */
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly decisions: readonly Decision[];
  /** Id of the prompt that was in force when the message that began it came; a claim of the client. */
  readonly prompt: string | undefined;
  /** Empty unless it had to wait for people. */
  readonly approvals: readonly ApprovalStep[];
  /** What it looked up of masked columns; absent: nothing. */
  readonly lookups?: LookupCount | undefined;
  readonly results: readonly Result[];
  readonly error: ServerMessage | undefined;
  readonly notices: readonly ServerMessage[];
  readonly outcome: Outcome;
  readonly startMs: number;
  readonly endMs: number | undefined;
  /** What went over its channel: a shell, a command, a subsystem, a forward. */
  readonly channel?: ChannelFacts | undefined;
  /** Of a forward: what its name led to on the gateway, and was dialled. */
  readonly address?: string | undefined;
  /** What was done to a file, as the gateway saw it. */
  readonly file?: FileRecord | undefined;
  /** Of a protocol that is not read here: all that is shown of it, `text` among it. */
  readonly view?: View | undefined;
}

/** What is done on a server. `file`: within sftp. `not carried`: refused by the client's hoop. */
export type ActKind = 'shell' | 'exec' | 'subsystem' | 'forward' | 'file' | 'not carried';

export interface ChannelFacts {
  /** Number in its connection. */
  readonly channel: number;
  readonly terminal:
    | { readonly term: string; readonly columns: number; readonly rows: number }
    | undefined;
  /** As the client asked for them. */
  readonly environment: readonly (readonly [name: string, value: string])[];
  /** Names of those that the target did not get. */
  readonly dropped: readonly string[];
  readonly exit:
    | { readonly status: number }
    | { readonly signal: string; readonly coreDumped: boolean; readonly message: string }
    | undefined;
  /** Bytes. */
  readonly input: number;
  readonly output: number;
  readonly errors: number;
  /** How its output begins, errors among it; empty for what is not for reading. */
  readonly text: string;
  /** Bytes of output that `text` leaves out. */
  readonly more: number;
}

export interface Parameter {
  readonly type: string;
  /** null = SQL NULL. */
  readonly value: string | null;
}

type Decided = Extract<RecordingEvent, { type: 'decision' }>;

export interface Decision
  extends Omit<Decided, 'type' | 'stream' | 'at' | 'facts' | 'columnsComputed'> {
  readonly columnsComputed: readonly string[];
}

/** Values that a statement compared with masked columns, and what was left of the day after it. */
export type LookupCount = Pick<Extract<RecordingEvent, { type: 'lookups' }>, 'candidates' | 'left'>;

/** A statement that waits for people, and what became of that; both sides have signed it. */
export type ApprovalStep = { readonly timeMs: number } & (
  | Omit<Extract<EvidenceLine, { type: 'held' }>, 'stream' | 'at' | 'until'>
  | Omit<Extract<EvidenceLine, { type: 'decided' }>, 'stream' | 'at'>
);

export interface ResultColumn {
  readonly name: string;
  readonly type: string;
  readonly numeric: boolean;
  readonly masked: boolean;
}

export interface Result {
  /** Empty for a command that returns no rows. */
  readonly columns: readonly ResultColumn[];
  /** The first rows; null = SQL NULL. */
  readonly rows: readonly (readonly (string | null)[])[];
  /** All rows, also those that are not kept. */
  readonly rowCount: number;
  /** CommandComplete, e.g. `UPDATE 3`. */
  readonly tag: string | undefined;
  /** Execute had a row limit and there were more. */
  readonly suspended: boolean;
  readonly copy:
    | {
        readonly direction: 'in' | 'out';
        readonly format: 'text' | 'binary';
        readonly bytes: number;
      }
    | undefined;
  /** What the gateway counted; undefined when it recorded nothing about this result. */
  readonly facts: ResultFacts | undefined;
}

export interface ResultFacts {
  readonly rows: number;
  readonly maskedValues: number;
  readonly detected: Readonly<Record<string, number>>;
}

/** ErrorResponse or NoticeResponse. */
export interface ServerMessage {
  readonly severity: string;
  readonly sqlState: string;
  readonly message: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  /** 1-based character of the statement. */
  readonly position: number | undefined;
}

/** NoticeResponse, NotificationResponse or a FATAL error that answers no statement. */
export interface Notice {
  readonly type: 'notice';
  readonly timeMs: number;
  readonly stream: number;
  readonly message: ServerMessage;
}

/** From here on another prompt is in force. Both sides have signed that the client has said it, no more. */
export interface Prompt extends PromptLine {
  readonly timeMs: number;
  readonly isCut: boolean;
}

/** A line of stream 0, which both sides have signed. */
export interface Evidence {
  readonly type: 'evidence';
  readonly timeMs: number;
  readonly kind: 'reason' | 'denied' | 'access' | 'held' | 'decided' | 'closing';
  readonly stream: number | undefined;
  readonly code: string | undefined;
  readonly message: string;
  /** Number of the statement among whose `approvals` it stands. */
  readonly statement: number | undefined;
}

/** Bytes that are in no cut: the gateway lost them, and what they were is the client's word alone. */
interface Lost {
  readonly type: 'lost';
  /** When the gateway was given them back: behind all else. */
  readonly timeMs: number;
  /** The same by the clock of the client, which may say anything. */
  readonly sentMs: number;
  readonly stream: number;
  readonly direction: 'up' | 'down';
  readonly from: number;
  readonly to: number;
  /** Who says so. */
  readonly claim: string;
  /** How they begin, as UTF-8; not read as messages of any protocol. */
  readonly text: string;
  /** Bytes that `text` leaves out. */
  readonly more: number;
}

/** A connection whose bytes are not what the protocol allows; it is not read any further. */
interface Unreadable {
  readonly type: 'unreadable';
  readonly timeMs: number;
  readonly stream: number;
  readonly direction: 'up' | 'down';
  readonly offset: number;
  readonly message: string;
}
