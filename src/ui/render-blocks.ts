/** What `hoop access blocks` prints. */
import type { BlockView } from '../api/blocks.ts';
import { spanOf } from './approvals/approval-lines.ts';
import type { LineOptions } from './replay/statement-lines.ts';
import { type ListColumn, listTable } from './text/table.ts';
import { shortLocalTime } from './text/times.ts';

/** @returns lines without line feeds */
export function renderBlocks(
  blocks: readonly BlockView[],
  options: LineOptions & { readonly nowMs: number },
): string[] {
  const columns: readonly ListColumn<BlockView>[] = [
    { title: 'ID', whole: true, cell: ({ id }) => id },
    { title: 'WHO', cell: ({ kind, who }) => (kind === 'agent' ? `agent ${who}` : who) },
    { title: 'TARGET', cell: ({ target }) => target ?? 'everything' },
    { title: 'STATE', whole: true, cell: (block) => stateOf(block, options.nowMs) },
    { title: 'BY', cell: ({ blockedBy }) => blockedBy },
    { title: 'SINCE', whole: true, cell: (block) => shortLocalTime(Date.parse(block.blockedAt)) },
    { title: 'REASON', cell: ({ reason }) => reason },
  ];
  return listTable(blocks, columns, options);
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
