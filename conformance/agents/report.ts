/** What came of driving the agents, as the table of docs/agents.md. */
import type { DrivenAgent } from './agents.ts';

export interface Row {
  readonly agent: string;
  readonly version: string;
  readonly mode: 'headless' | 'terminal';
  starts: boolean;
  /** The statement stands under the task in the recording. */
  prompt: boolean;
  /** The model was told the denial, with what to do. */
  denial: boolean;
  /** The tool's call waited, and went on when the statement was approved. */
  held: boolean;
  /** With status 0, and nothing is left running. */
  ended: boolean;
}

const COLUMNS = ['starts', 'prompt', 'denial', 'held', 'ended'] as const;
const HEAD =
  '| agent | version | mode | starts | prompt tied | denial read | hold survived | ended cleanly |';

export function drawTable(rows: readonly Row[], agents: readonly DrivenAgent[]): string {
  const lines = rows.map((row) => {
    const agent = agents.find(({ name }) => name === row.agent);
    const cells = COLUMNS.map((column) => {
      const reason = agent?.reasons?.[row.mode === 'terminal' ? 'in a terminal' : column];
      return row[column] ? 'yes' : reason === undefined ? 'no' : `no: ${reason}`;
    });
    return `| ${[agent?.title ?? row.agent, row.version, row.mode, ...cells].join(' | ')} |`;
  });
  return [HEAD, `|${'---|'.repeat(8)}`, ...lines].map((line) => `${line}\n`).join('');
}
