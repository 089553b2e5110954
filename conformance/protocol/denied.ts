/**
 * A denied statement must leave order, transaction state and connection as a syntax error at the
 * same place leaves them. So each script is played with one of both at each place where SQL stands.
 */
import { type Message, parse, query } from './messages.ts';
import type { Script } from './script.ts';

/** What the server refuses by itself. */
export const SYNTAX_ERROR = 'hoop_syntax';
/** What the policy of the lane `denying` refuses. */
export const FORBIDDEN = 'SELECT * FROM hoop_forbidden';

export interface Pair {
  readonly title: string;
  readonly direct: Script;
  readonly hoop: Script;
}

/** One pair for each message of the script: put in its place where it holds SQL, else before it. */
export function withDenials(script: Script): readonly Pair[] {
  const pairs: Pair[] = [];
  for (const [stepIndex, { send }] of script.steps.entries()) {
    for (const [index, message] of send.entries()) {
      for (const [how, replaces] of [
        ['Query', message.kind === 'query'],
        ['Parse', message.kind === 'parse'],
      ] as const) {
        const title = `${script.title}: ${how} ${replaces ? 'as' : 'before'} message ${index + 1} of step ${stepIndex + 1}`;
        const place = { stepIndex, index, replaces };
        const make = (sql: string): Script =>
          edit(
            { ...script, title },
            place,
            how === 'Query' ? query(sql) : parse(sql, nameOf(message)),
          );
        pairs.push({
          title,
          direct: make(SYNTAX_ERROR),
          hoop: make(FORBIDDEN),
        });
      }
    }
  }
  return pairs;
}

function nameOf(message: Message): string {
  return message.kind === 'parse' ? message.statement : '';
}

function edit(
  script: Script,
  place: { readonly stepIndex: number; readonly index: number; readonly replaces: boolean },
  message: Message,
): Script {
  const steps = script.steps.map((step, stepIndex) =>
    stepIndex === place.stepIndex
      ? { ...step, send: step.send.toSpliced(place.index, place.replaces ? 1 : 0, message) }
      : step,
  );
  return { ...script, steps };
}
