/** Random programs of protocol messages over random texts. */

import { encodeEmptyFrontend } from '../../src/connectors/postgres/protocol/empty-messages.ts';
import {
  encodeBind,
  encodeClose,
  encodeExecute,
  encodeParse,
  encodeQuery,
} from '../../src/connectors/postgres/protocol/frontend-messages.ts';
import { mutate } from './mutate.ts';
import type { Random } from './random.ts';

export interface FuzzMessage {
  readonly bytes: Uint8Array;
  /** Of a Query or a Parse. */
  readonly text: string | undefined;
  readonly isSimple: boolean;
}

const NAMES = ['', '', 's', 'hoop_probe'] as const;

/** A few messages, answered by exactly one ReadyForQuery. */
export function randomProgram(corpus: readonly string[], random: Random): readonly FuzzMessage[] {
  if (random.below(2) === 0) return [query(mutate(corpus, random))];
  const steps = Array.from({ length: 1 + random.below(3) }, () => randomStep(corpus, random));
  return [...steps.flat(), bare(encodeEmptyFrontend('Sync'))];
}

export function query(sql: string): FuzzMessage {
  return { bytes: encodeQuery({ sql }), text: sql, isSimple: true };
}

function randomStep(corpus: readonly string[], random: Random): readonly FuzzMessage[] {
  const statement = random.pick(NAMES);
  const portal = random.pick(NAMES);
  const parse = (): FuzzMessage => {
    const sql = mutate(corpus, random);
    const bytes = encodeParse({ statement, sql, parameterTypes: [] });
    return { bytes, text: sql, isSimple: false };
  };
  const run = (): readonly FuzzMessage[] => [
    bare(
      encodeBind({ portal, statement, parameterFormats: [], parameters: [], resultFormats: [] }),
    ),
    bare(encodeExecute({ portal, maxRows: random.below(2) })),
  ];
  return random.pick<() => readonly FuzzMessage[]>([
    () => [parse(), ...run()],
    () => [parse(), ...run()],
    () => [bare(encodeClose({ what: 'statement', name: statement })), parse(), ...run()],
    () => [parse()],
    run,
    () => [bare(encodeExecute({ portal, maxRows: 0 })), bare(encodeEmptyFrontend('Flush'))],
  ])();
}

function bare(bytes: Uint8Array): FuzzMessage {
  return { bytes, text: undefined, isSimple: false };
}
