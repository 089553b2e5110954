/** The outputs of a lane against those of the server itself. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type AcceptedDifferences, areTogether, causesShown } from './accepted.ts';
import type { Lane, Outputs } from './suite.ts';

/**
 * `same`; `accepted`: differs for causes that accepted.yaml lists for the case; `unstable`: two
 * runs straight on the server differ as well; `different`: to be explained or mended.
 */
export type Outcome = 'same' | 'accepted' | 'unstable' | 'different';

export interface ComparedCase {
  readonly name: string;
  readonly outcome: Outcome;
  /** Ids of causes whose messages show in the difference. */
  readonly shown: readonly string[];
  /** Messages that only hoop printed and that no cause explains. */
  readonly unexplained: readonly string[];
  readonly diff: string;
}

export interface ComparedSuite {
  readonly suite: string;
  readonly lane: Lane['name'];
  readonly cases: readonly ComparedCase[];
  /** Entries of accepted.yaml for cases that do not differ any more. */
  readonly stale: readonly string[];
}

export interface Comparison {
  readonly suite: string;
  readonly lane: Lane['name'];
  readonly direct: Outputs;
  /** A second run straight on the server. */
  readonly again: Outputs | undefined;
  readonly hoop: Outputs;
  readonly accepted: AcceptedDifferences;
  /** Outputs and diffs are left here. */
  readonly directory: string;
  /** Each line that only hoop printed must be shown by a cause of the case's entry. */
  readonly isEveryLineExplained?: boolean;
}

export function compareSuite(c: Comparison): ComparedSuite {
  const entries = new Map(
    c.accepted.differences
      .filter(({ suite, lane }) => suite === c.suite && lane === c.lane)
      .map((entry) => [entry.case, entry]),
  );
  const names = [...new Set([...c.direct.keys(), ...c.hoop.keys()])].sort();
  const cases = names.map((name): ComparedCase => {
    const direct = c.direct.get(name) ?? '(did not run)\n';
    const hoop = c.hoop.get(name) ?? '(did not run)\n';
    if (direct === hoop) return { name, outcome: 'same', shown: [], unexplained: [], diff: '' };
    const diff = difference(c, name, direct, hoop);
    const hoopOnly = diff
      .split('\n')
      .flatMap((line) => (/^\+(?!\+\+)/.test(line) ? [line.slice(1)] : []));
    const shown = causesShown(c.accepted, hoopOnly);
    const unexplained = hoopOnly.filter(
      (line) =>
        /(ERROR|FATAL|PANIC|could not|server closed)/.test(line) &&
        causesShown(c.accepted, [line]).length === 0,
    );
    const again = c.again?.get(name);
    const entry = entries.get(name);
    const isExplained = (line: string): boolean =>
      causesShown(c.accepted, [line]).some((id) => entry?.causes.includes(id) ?? false);
    const isAccepted =
      entry !== undefined &&
      shown.every((id) => entry.causes.includes(id)) &&
      areTogether(c.accepted, shown) &&
      (!c.isEveryLineExplained || hoopOnly.every(isExplained));
    const isUnstable = again !== undefined && again !== direct;
    const outcome =
      again === hoop || isUnstable ? 'unstable' : isAccepted ? 'accepted' : 'different';
    return { name, outcome, shown, unexplained, diff };
  });
  const differing = new Set(
    cases.filter(({ outcome }) => outcome !== 'same').map(({ name }) => name),
  );
  const ran = new Set(names);
  const stale = [...entries.keys()].filter((name) => ran.has(name) && !differing.has(name));
  return { suite: c.suite, lane: c.lane, cases, stale };
}

function difference(c: Comparison, name: string, direct: string, hoop: string): string {
  const files = [
    ['direct', direct],
    [c.lane, hoop],
  ].map(([lane = '', text = '']) => {
    const file = join(c.directory, c.suite, lane, `${name.replaceAll(/[^\w.-]/g, '_')}.out`);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    return file;
  });
  const diff = spawnSync('diff', ['-U3', ...files], { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (diff.error) throw diff.error;
  const file = join(c.directory, c.suite, `${name.replaceAll(/[^\w.-]/g, '_')}.${c.lane}.diff`);
  writeFileSync(file, diff.stdout);
  return diff.stdout;
}
