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

function tableOf(results: readonly ToolResult[]): readonly string[] {
  const lines = [
    '| tool | version | cases | statements: everything allowed | refused | statements: strict | refused | differences |',
    '|---|---|---:|---:|---:|---:|---:|---:|',
  ];
  const totals = {
    cases: 0,
    passthrough: 0,
    passthroughRefused: 0,
    strict: 0,
    strictRefused: 0,
    differences: 0,
  };
  for (const { tool, version, missing, lanes } of results) {
    if (missing !== undefined) {
      lines.push(`| ${tool} | ${version} | **did not run** | | | | | |`);
      continue;
    }
    const of = (
      lane: LaneName,
    ): readonly [statements: number, refused: number, cases: number, different: number] => {
      const found = lanes.find((one) => one.lane === lane);
      if (found === undefined) return [0, 0, 0, 0];
      const refused = [...found.refused.values()].reduce((sum, { length }) => sum + length, 0);
      const different = found.compared.cases.filter(({ outcome }) => outcome !== 'same').length;
      return [found.statements, refused, found.compared.cases.length, different];
    };
    const [all, allRefused, cases, allDifferent] = of('passthrough');
    const [strict, strictRefused, strictCases, strictDifferent] = of('strict');
    const count = Math.max(cases, strictCases);
    totals.cases += count;
    totals.passthrough += all;
    totals.passthroughRefused += allRefused;
    totals.strict += strict;
    totals.strictRefused += strictRefused;
    totals.differences += allDifferent + strictDifferent;
    lines.push(
      `| ${tool} | ${version} | ${count} | ${all} | ${allRefused} | ${strict} | ${strictRefused} | ${allDifferent + strictDifferent} |`,
    );
  }
  const { cases, passthrough, passthroughRefused, strict, strictRefused, differences } = totals;
  return [
    ...lines,
    `| together | | ${cases} | ${passthrough} | ${passthroughRefused} | ${strict} | ${strictRefused} | ${differences} |`,
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
  return [...lines, '', `Without need: ${without}.`];
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
