/** What becomes of a text that is parsed. */
import type { StatementAnalysis } from '../facts/analysis-types.ts';
import type { AllowedStatement, Verdict } from '../facts/types.ts';
import type { ParseAnswer } from './parser-worker.ts';

export type ParseOutcome =
  /** The ParseResult of libpg-query. Shared by everyone who asks for this text: do not change it. */
  | {
      readonly type: 'tree';
      readonly tree: unknown;
      /** Made from the tree of a text with other constants: whether their values have been read. */
      readonly wasRead?: () => boolean;
    }
  | NotParsed;

export type NotParsed =
  /** The parser's own message, as the server would say it. `position` is 1-based, in characters. */
  | { readonly type: 'syntax'; readonly message: string; readonly position: number | undefined }
  | {
      readonly type: 'refused';
      readonly reason: 'size' | 'depth' | 'parser' | 'thread';
      readonly message: string;
      readonly hint: string | undefined;
    };

/** A tree, or that it is larger than whoever asked can take. */
export type BoundedOutcome = ParseOutcome | { readonly type: 'large' };

export type JudgedOutcome =
  /** @property fault of our own, for which it was refused */
  | { readonly type: 'judged'; readonly verdict: Verdict; readonly fault?: Error | undefined }
  | (NotParsed & { readonly fault?: Error });

/** UTF-8 bytes of one Query or Parse. 1 MB of INSERT takes 0.5 s and 500 MB; nobody types more. */
export const MAX_SQL_BYTES = 1024 * 1024;

export const BROKEN = {
  type: 'refused',
  reason: 'parser',
  message: 'the statement could not be parsed safely',
  hint: 'Split it into smaller statements.',
} as const satisfies NotParsed;
export const MORE_THREADS =
  'Run it again in a moment. If it stays so, whoever runs the gateway raises its limits of open files and threads.';
/** Not the text's fault: nothing of it is kept. */
export const NO_THREAD = {
  type: 'refused',
  reason: 'thread',
  message: 'the gateway cannot start a thread to read the statement',
  hint: MORE_THREADS,
} as const satisfies NotParsed;
export const TOO_LARGE: NotParsed = {
  type: 'refused',
  reason: 'size',
  message: `the statement is larger than ${MAX_SQL_BYTES / 1024} KiB`,
  hint: 'Send the data with COPY … FROM STDIN, or with parameters in several statements.',
};
const TOO_DEEP: NotParsed = {
  type: 'refused',
  reason: 'depth',
  message: 'the statement is nested too deeply',
  hint: 'Use IN, ANY or a VALUES list instead of long chains of operators or subqueries.',
};
export const NOT_TEXT: NotParsed = {
  type: 'refused',
  reason: 'parser',
  message: 'the statement contains characters that SQL text cannot hold',
  hint: undefined,
};

/** @returns what the thread's answer says, with the bytes that it came in */
export function outcomeOf(
  answer: Exclude<ParseAnswer, { type: 'question' | 'lot' }>,
  lots: readonly unknown[],
): [BoundedOutcome | JudgedOutcome, number] {
  switch (answer.type) {
    case 'large':
      return [{ type: 'large' }, 0];
    case 'allowed': {
      // As the thread has sent them.
      const statements = lots as readonly AllowedStatement[];
      return [{ type: 'judged', verdict: { effect: 'allow', statements } }, 0];
    }
    case 'refused': {
      // As the thread has sent them.
      const analysis = lots as readonly StatementAnalysis[];
      const { refusal, statement, fault } = answer;
      const verdict: Verdict = { effect: 'refuse', refusal, statement, analysis };
      return [{ type: 'judged', verdict, fault }, 0];
    }
    case 'tree':
      return [{ type: 'tree', tree: JSON.parse(answer.json) }, answer.json.length];
    case 'depth':
      return [TOO_DEEP, 0];
    case 'syntax':
      return [
        { type: 'syntax', message: answer.message, position: positionOf(answer) },
        answer.message.length,
      ];
  }
}

/** The binding turns "no position" into 0, which is also the first character. */
function positionOf({ message, cursor }: { message: string; cursor: number }): number | undefined {
  return cursor > 0 || / at (or near|end of) /.test(message) ? cursor + 1 : undefined;
}
