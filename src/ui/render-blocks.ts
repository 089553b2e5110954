/** What `hoop access blocks` prints. */
import type { BlockView } from '../api/blocks.ts';
import { spanOf } from './approval-lines.ts';
import type { LineOptions } from './statement-lines.ts';
import { renderTable, type TableColumn } from './table.ts';
import { shortLocalTime } from './times.ts';

interface Column extends TableColumn {
  readonly cell: (block: BlockView, nowMs: number) => string;
}

const COLUMNS: readonly Column[] = [
  { title: 'ID', whole: true, cell: ({ id }) => id },
  { title: 'WHO', cell: ({ kind, who }) => (kind === 'agent' ? `agent ${who}` : who) },
  { title: 'TARGET', cell: ({ target }) => target ?? 'everything' },
  { title: 'STATE', whole: true, cell: stateOf },
  { title: 'BY', cell: ({ blockedBy }) => blockedBy },
  { title: 'SINCE', whole: true, cell: (block) => shortLocalTime(Date.parse(block.blockedAt)) },
  { title: 'REASON', cell: ({ reason }) => reason },
];

/** @returns lines without line feeds */
export function renderBlocks(
  blocks: readonly BlockView[],
  { style, width, nowMs }: LineOptions & { readonly nowMs: number },
): string[] {
  const rows = blocks.map((block) => COLUMNS.map(({ cell }) => cell(block, nowMs)));
  return renderTable({ columns: COLUMNS, rows, width, style, look: 'list' });
}

function stateOf({ state, expiresAt, liftedBy }: BlockView, nowMs: number): string {
  switch (state) {
    case 'active':
      return expiresAt === undefined
        ? 'until lifted'
        : `${spanOf(Date.parse(expiresAt) - nowMs)} left`;
    case 'expired':
      return 'expired';
    case 'lifted':
      return `lifted by ${liftedBy}`;
  }
}
