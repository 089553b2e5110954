/** What a run found: for the terminal, and as docs/tools.md. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ComparedSuite } from '../compare.ts';
import type { LaneName } from '../suite.ts';
import { type AcceptedOfTools, causeOf } from './accepted-refusals.ts';
import { HERE } from './install.ts';
import type { RecordedSession, RefusedStatement } from './recorded-statements.ts';

export interface ToolResult {
  readonly tool: string;
  readonly version: string;
  /** Why it did not run. */
  readonly missing: string | undefined;
  readonly lanes: readonly LaneResult[];
}

interface LaneResult {
  readonly lane: LaneName;
  readonly compared: ComparedSuite;
  readonly statements: number;
  /** By cause; `undefined` is what no cause explains. */
  readonly refused: ReadonlyMap<string | undefined, readonly RefusedStatement[]>;
}

export function toolResult(
  compared: ComparedSuite,
  recorded: RecordedSession | undefined,
  accepted: AcceptedOfTools,
): LaneResult {
  const known = compared.lane === 'strict' ? accepted.refusals : [];
  return {
    lane: compared.lane,
    compared,
    statements: recorded?.statements ?? 0,
    refused: Map.groupBy(recorded?.refused ?? [], (one) => causeOf(known, one)?.id),
  };
}

/** What must be explained, mended or removed from accepted.yaml. */
export function faultsOf(
  results: readonly ToolResult[],
  accepted: AcceptedOfTools,
  isComplete: boolean,
): readonly string[] {
  const faults: string[] = [];
  for (const { tool, missing, lanes } of results) {
    if (missing !== undefined) faults.push(`${tool} DID NOT RUN: ${missing}`);
    for (const { lane, compared, statements, refused } of lanes) {
      const where = `${tool} (${lane})`;
      if (statements === 0) faults.push(`${where}: nothing was recorded`);
      for (const { name, outcome, unexplained } of compared.cases) {
        if (outcome !== 'different') continue;
        faults.push(
          `${where}: different: ${name}\n${unexplained.map((l) => `    ${l}\n`).join('')}`,
        );
      }
      faults.push(...compared.stale.map((name) => `${where}: no difference any more: ${name}`));
      for (const { message, detail, text } of refused.get(undefined) ?? []) {
        const shown = text.replaceAll(/\s+/g, ' ').slice(0, 300);
        faults.push(`${where}: refused: ${message}\n    ${detail}\n    ${shown}\n`);
      }
    }
  }
  if (!isComplete) return faults;
  const seen = new Set(
    results.flatMap(({ lanes }) => lanes.flatMap(({ refused }) => [...refused.keys()])),
  );
  const void_ = accepted.refusals.filter(({ id }) => !seen.has(id));
  return [...faults, ...void_.map(({ id }) => `refused by nothing any more: ${id}`)];
}

export function renderSummary(results: readonly ToolResult[], faults: readonly string[]): string {
  return [...tableOf(results), '', ...faults, ''].join('\n');
}

interface Counts {
  readonly cases: number;
  readonly statements: number;
  readonly refused: number;
  readonly differences: number;
}

const LANES = ['passthrough', 'strict'] as const;

function countsOf({ compared, statements, refused }: LaneResult): Counts {
  const differing = compared.cases.filter(({ outcome }) => outcome !== 'same');
  return {
    cases: compared.cases.length,
    statements,
    refused: [...refused.values()].reduce((sum, { length }) => sum + length, 0),
    differences: differing.length,
  };
}

/** A lane that did not run has no numbers, and no zeros either. */
function tableOf(results: readonly ToolResult[]): readonly string[] {
  const rows = results
    .filter(({ missing }) => missing === undefined)
    .map(({ tool, version, lanes }) => ({
      tool,
      version,
      counts: LANES.map((name) => {
        const found = lanes.find(({ lane }) => lane === name);
        return found && countsOf(found);
      }),
    }));
  const cells = (counts: readonly (Counts | undefined)[]): string => {
    const each = counts.map((one) =>
      one === undefined ? '– | – | –' : `${one.statements} | ${one.refused} | ${one.differences}`,
    );
    return [Math.max(...counts.map((one) => one?.cases ?? 0)), ...each].join(' | ');
  };
  const sums = LANES.map((_lane, index) => {
    const all = rows.flatMap(({ counts }) => counts[index] ?? []);
    const sum = (of: (one: Counts) => number): number =>
      all.reduce((total, one) => total + of(one), 0);
    return all.length === 0
      ? undefined
      : {
          cases: sum(({ cases }) => cases),
          statements: sum(({ statements }) => statements),
          refused: sum(({ refused }) => refused),
          differences: sum(({ differences }) => differences),
        };
  });
  return [
    '| tool | version | cases | everything allowed: statements | refused | different cases | strict: statements | refused | different cases |',
    '|---|---|---:|---:|---:|---:|---:|---:|---:|',
    ...rows.map(({ tool, version, counts }) => `| ${tool} | ${version} | ${cells(counts)} |`),
    ...results
      .filter(({ missing }) => missing !== undefined)
      .map(({ tool, version }) => `| ${tool} | ${version} | **did not run** | | | | | | |`),
    `| together | | ${cells(sums)} |`,
  ];
}

export function renderPage(
  results: readonly ToolResult[],
  accepted: AcceptedOfTools,
  server: string,
): string {
  const policy = readFileSync(join(HERE, 'policy/policies/developers.yaml'), 'utf8');
  return [
    readFileSync(join(HERE, 'page.md'), 'utf8')
      .trimEnd()
      .replace('SERVER', server)
      .replace('POLICY', policy.trimEnd()),
    '',
    ...tableOf(results),
    '',
    ...leftOut(results),
    '## Refused under the strict policy',
    '',
    ...refusalsOf(results, accepted),
    '',
    '## Shown differently under the strict policy',
    '',
    ...differencesOf(results, accepted),
    '',
  ].join('\n');
}

/** Of a page that was made without a whole run. */
function leftOut(results: readonly ToolResult[]): readonly string[] {
  const isWhole = results.every(
    ({ missing, lanes }) => missing !== undefined || lanes.length === LANES.length,
  );
  return isWhole ? [] : ['A lane with a dash was left out of this run.', ''];
}

function refusalsOf(results: readonly ToolResult[], accepted: AcceptedOfTools): readonly string[] {
  const lines = ['| cause | needed | statements | tools |', '|---|---|---:|---|'];
  let without = 0;
  for (const cause of [...accepted.refusals, undefined]) {
    const by = results.flatMap(({ tool, lanes }) => {
      const count = lanes.reduce(
        (sum, { refused }) => sum + (refused.get(cause?.id)?.length ?? 0),
        0,
      );
      return count === 0 ? [] : [{ tool, count }];
    });
    const total = by.reduce((sum, { count }) => sum + count, 0);
    if (cause?.needed !== true) without += total;
    if (total === 0) continue;
    const tools = by.map(({ tool, count }) => `${tool} ${count}`).join(', ');
    const why =
      cause === undefined ? 'not explained' : [cause.why, cause.opens].filter(Boolean).join(' ');
    lines.push(`| ${why} | ${cause?.needed ? 'yes' : '**no**'} | ${total} | ${tools} |`);
  }
  return [...lines, '', `Unneeded refusals: ${without}.`];
}

function differencesOf(
  results: readonly ToolResult[],
  { differences }: AcceptedOfTools,
): readonly string[] {
  const lines = ['| cause | cases |', '|---|---|'];
  for (const { id, why } of differences.causes) {
    const cases = results.flatMap(({ tool, lanes }) => {
      const differing = new Set(
        lanes.flatMap(({ compared }) =>
          compared.cases.flatMap(({ name, outcome }) => (outcome === 'same' ? [] : [name])),
        ),
      );
      const count = differences.differences.filter(
        (one) => one.suite === tool && one.causes.includes(id) && differing.has(one.case),
      ).length;
      return count === 0 ? [] : [`${tool} ${count}`];
    });
    if (cases.length > 0) lines.push(`| ${why} | ${cases.join(', ')} |`);
  }
  const open = results.flatMap(({ tool, lanes }) =>
    lanes.flatMap(({ lane, compared }) =>
      compared.cases.flatMap(({ name, outcome }) =>
        outcome === 'different' ? [`- not explained: ${tool}, ${name} (${lane})`] : [],
      ),
    ),
  );
  return open.length === 0 ? lines : [...lines, '', ...open];
}
