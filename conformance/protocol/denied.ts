/**
 * A denied statement must leave order, transaction state and connection as a syntax error at the
 * same place leaves them. So each script is played with one of both at each place where SQL stands.
 */
import { type Message, parse, query } from './messages.ts';
import { type Script, type Step, step } from './script.ts';

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

/** Within a text of several statements: it is refused as a whole, before its first one runs. */
export function deniedWithin(): readonly Pair[] {
  const insert = (id: number): string => `INSERT INTO t VALUES (${id}, 'd')`;
  const count = step(query('SELECT count(*) FROM t WHERE id >= 970'));
  const texts: Readonly<Record<string, (denied: string) => readonly Step[]>> = {
    'in the middle': (x) => [step(query(`${insert(970)}; ${x}; ${insert(971)}`))],
    'at the end': (x) => [step(query(`${insert(970)}; ${x}`), query('SELECT 1'))],
    'behind BEGIN': (x) => [step(query(`BEGIN; ${insert(970)}; ${x}; COMMIT`))],
    'behind COMMIT': (x) => [step(query('BEGIN')), step(query(`${insert(970)}; COMMIT; ${x}`))],
    'in a transaction': (x) => [
      step(query('BEGIN'), query(insert(970))),
      step(query(`SELECT 1; ${x}; SELECT 2`), query('SELECT 3')),
      step(query('ROLLBACK')),
    ],
    'in a failed transaction': (x) => [
      step(query('BEGIN'), query('SELECT 1/0')),
      step(query(`SELECT 1; ${x}`), query(`ROLLBACK; ${x}`)),
      step(query('ROLLBACK')),
    ],
    'behind a savepoint': (x) => [
      step(query('BEGIN'), query(insert(970)), query('SAVEPOINT s')),
      step(query(`${insert(971)}; ${x}`), query('ROLLBACK TO s'), query('COMMIT')),
    ],
    'behind COPY': (x) => [step(query(`COPY t (id) FROM STDIN; ${x}`), query('SELECT 1'))],
    'before COPY': (x) => [step(query(`${x}; COPY (SELECT 1) TO STDOUT`), query('SELECT 1'))],
    'beside DISCARD ALL': (x) => [step(query(`${x}; DISCARD ALL`), query('DISCARD ALL'))],
    'beside LISTEN': (x) => [step(query(`LISTEN a; ${x}`)), step(query("NOTIFY a, 'unheard'"))],
  };
  return Object.entries(texts).map(([where, make]) => {
    const title = `several statements, denied ${where}`;
    const script = (denied: string): Script => ({
      title,
      steps: [...make(denied), count, { send: [], after: 'settle' }],
    });
    return { title, direct: script(SYNTAX_ERROR), hoop: script(FORBIDDEN) };
  });
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
