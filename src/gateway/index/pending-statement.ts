/** Decisions and results of statements on their way into the index. */
import type { RecordingEvent } from '../../recording/types.ts';

export type Decision = Extract<RecordingEvent, { type: 'decision' }>;
export type Result = Extract<RecordingEvent, { type: 'result' }>;

export interface Pending {
  readonly session: string;
  readonly timeMs: number;
  readonly decision: Decision | undefined;
  /** The decision before it on its connection, where that was pending and had no result. */
  readonly last: Decision | undefined;
  /** A portal that is executed in parts reports each part. */
  result: Result | undefined;
}

export interface KnownSession {
  readonly number: number;
  readonly hasStatements: boolean;
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
