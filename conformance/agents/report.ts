/** What came of driving the agents, kept as a file for each, and as the table of docs/agents.md. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AGENTS, type DrivenAgent } from './agents.ts';

const MODES = ['headless', 'terminal', 'mcp'] as const;
export type Mode = (typeof MODES)[number] | 'hold';

/** `hold` is for what hoop does and not the agent: one version of those that it can be driven with. */
export function modesOf({ impatient, versions }: DrivenAgent, version: string): readonly Mode[] {
  return impatient !== undefined && version === versions[0] ? [...MODES, 'hold'] : MODES;
}

export interface Row {
  readonly agent: string;
  readonly version: string;
  readonly mode: Mode;
  /** The day on which it was run. */
  readonly run: string;
  /** It asks the model, and calls the first tool. */
  starts: boolean;
  /** The statement stands under the task in the recording. */
  prompt: boolean;
  /** The model was told the denial, with what to do; not part of `hold`. */
  denial?: boolean;
  /**
   * The tool's call waited, and went on when the statement was approved. In `hold` it was given up
   * before; the next call of the statement used the approval, and the one after it waited anew.
   */
  held: boolean;
  /** With status 0, and nothing is left running. */
  ended: boolean;
  /** In a terminal: hoop wrote nothing into it while the agent had it. */
  screen?: boolean;
}

const COLUMNS = ['starts', 'prompt', 'denial', 'held', 'ended', 'screen'] as const;
const HEAD = [
  ...['agent', 'version', 'mode', 'starts', 'prompt tied', 'denial read', 'hold survived'],
  ...['ended cleanly', 'screen left alone', 'run'],
];

export function keepRow(directory: string, row: Row): void {
  mkdirSync(directory, { recursive: true });
  const file = join(directory, `${row.agent}-${row.version}-${row.mode}.json`);
  writeFileSync(file, `${JSON.stringify(row)}\n`);
}

export function readRows(directory: string): Row[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.json'))
    .map((name): Row => JSON.parse(readFileSync(join(directory, name), 'utf8')));
}

export interface Report {
  readonly table: string;
  /** What is neither yes nor has a reason. */
  readonly unexplained: readonly string[];
}

/** Of all agents, versions and modes, also of those that nobody has run. */
export function report(rows: readonly Row[]): Report {
  const lines: string[] = [];
  const unexplained: string[] = [];
  for (const agent of AGENTS) {
    for (const version of agent.versions) {
      for (const mode of modesOf(agent, version)) {
        const is = (row: Row): boolean =>
          row.agent === agent.name && row.version === version && row.mode === mode;
        const row = rows.find(is);
        const whole = reasonOf(agent, [mode, `${version} ${mode}`, version]);
        const cells =
          whole === undefined
            ? cellsOf(agent, version, mode, row)
            : [`*${whole}*`, '', '', '', '', ''];
        lines.push(drawLine([agent.title, version, mode, ...cells, row?.run ?? '']));
        if (cells.some((cell) => cell === 'no' || cell === 'not run')) {
          unexplained.push(`${agent.name}@${version} ${mode}: ${cells.join(', ')}`);
        }
      }
    }
  }
  const table = [drawLine(HEAD), `|${'---|'.repeat(HEAD.length)}`, ...lines];
  return { table: table.map((line) => `${line}\n`).join(''), unexplained };
}

function cellsOf(
  agent: DrivenAgent,
  version: string,
  mode: Mode,
  row: Row | undefined,
): readonly string[] {
  if (row === undefined) {
    return ['not run', '', '', '', '', ''];
  }
  return COLUMNS.map((column) => {
    const value = row[column];
    if (value !== false) {
      return value === undefined ? '' : 'yes';
    }
    const names = [column, `${mode} ${column}`, `${version} ${column}`];
    const reason = reasonOf(agent, [...names, `${version} ${mode} ${column}`]);
    return reason === undefined ? 'no' : `no: ${reason}`;
  });
}

function reasonOf({ reasons = {} }: DrivenAgent, names: readonly string[]): string | undefined {
  return names.map((name) => reasons[name]).find((reason) => reason !== undefined);
}

function drawLine(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}
