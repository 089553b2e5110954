/** Decisions and results of statements on their way into the index. */
import type { RecordingEvent, StatementFacts } from '../../recording/formats/types.ts';
import type { SessionFacts } from './refusal-events.ts';

export type Decision = Extract<RecordingEvent, { type: 'decision' }>;
export type Result = Extract<RecordingEvent, { type: 'result' }>;

export type FileEvent = Extract<RecordingEvent, { type: 'ssh.file' }>;

export interface Pending {
  readonly session: string;
  /** Of the decision, or of a result that came in a later lot. */
  readonly timeMs: number;
  readonly decision: Decision | undefined;
  /** Those that the decision names. */
  readonly facts: StatementFacts | undefined;
  /** The request that what the message at `at` does waits for. */
  readonly held: Held | undefined;
  /** What was done to a file. */
  readonly file: FileEvent | undefined;
  /** Of a result that came in the same lot. */
  resultMs: number;
  /** The decision before it on its connection, where that was pending and had no result. */
  readonly last: Decision | undefined;
  /** It was refused, and an event of its own tells so. */
  readonly isTold: boolean;
  /** A portal that is executed in parts reports each part. */
  result: Result | undefined;
  /** The request that it waited for. */
  approval: string | undefined;
}

export interface Held {
  readonly stream: number;
  readonly at: number;
  readonly request: string;
}

export interface KnownSession {
  readonly number: number;
  readonly hasStatements: boolean;
  readonly facts: SessionFacts;
}

export interface Known {
  readonly entry: Pending;
  readonly session: KnownSession;
}

/** @param session its id, or its number in the index */
export function placeOf(
  session: string | number,
  { stream, statement }: { readonly stream: number; readonly statement: number },
): string {
  return `${session} ${stream} ${statement}`;
}
