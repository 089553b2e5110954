/** What `hoop access list` prints: grants, requests that wait, and what can be asked for. */

import type { AccessReply } from '../api/access.ts';
import type { Approval } from '../api/approvals.ts';
import { approvalTable, spanOf } from './approvals/approval-lines.ts';
import type { LineOptions } from './replay/statement-lines.ts';
import { plain } from './text/printable.ts';
import { type ListColumn, listTable } from './text/table.ts';
import { textWidth } from './text/text-width.ts';
import { shortLocalTime } from './text/times.ts';
import { wrapWords } from './text/wrap-words.ts';

type Grant = AccessReply['grants'][number];
type Requestable = AccessReply['requestable'][number];

export interface AccessModel {
  readonly grants: readonly Grant[];
  readonly requests: readonly Approval[];
  readonly requestable: readonly Requestable[];
}

/** @returns lines without line feeds; none when there is nothing to say. */
export function renderAccess(
  model: AccessModel,
  options: LineOptions & { readonly nowMs: number },
): string[] {
  const { style } = options;
  const block = (title: string, lines: readonly string[]): string[] => [
    style.bold(title),
    ...lines,
    '',
  ];
  const lines = [
    ...(model.grants.length === 0
      ? []
      : block('Grants', listTable(model.grants, grantColumns(options.nowMs), options))),
    ...(model.requests.length === 0
      ? []
      : block('Requests', approvalTable(model.requests, options, options.nowMs))),
    ...(model.requestable.length === 0
      ? []
      : block('You can request', requestableLines(model.requestable, options))),
  ];
  return lines.slice(0, -1);
}

function grantColumns(nowMs: number): readonly ListColumn<Grant>[] {
  return [
    { title: 'ID', whole: true, cell: ({ id }) => id },
    { title: 'WHO', cell: ({ holder, mine }) => (mine ? 'you' : holder) },
    { title: 'TARGET', cell: ({ target }) => target },
    { title: 'GRANT', cell: ({ policy }) => policy },
    { title: 'STATE', whole: true, cell: (grant) => stateOf(grant, nowMs) },
    { title: 'APPROVED BY', cell: ({ approvedBy }) => approvedBy.join(', ') },
    { title: 'REASON', cell: ({ reason }) => reason },
  ];
}

function stateOf(grant: Grant, nowMs: number): string {
  const ended = grant.endedAt === undefined ? '' : ` ${shortLocalTime(Date.parse(grant.endedAt))}`;
  switch (grant.state) {
    case 'active':
      return `${spanOf(Date.parse(grant.expiresAt) - nowMs)} left`;
    case 'expired':
      return `expired${ended}`;
    case 'revoked':
      return `revoked${ended}`;
    case 'policy':
      return `ended by policy${ended}`;
  }
}

/** What is given is never cut: where a line has no room for it, it stands below. */
function requestableLines(all: readonly Requestable[], options: LineOptions): string[] {
  const { width } = options;
  const whole = listTable(all, [...REQUESTABLE, GIVES], { ...options, width: undefined });
  if (width === undefined || whole.every((line) => textWidth(line) <= width)) return whole;
  const [header = '', ...rows] = listTable(all, REQUESTABLE, options);
  const given = (row: number): readonly string[] => all[row]?.rules ?? [];
  const below = { first: '  ', rest: '    ' };
  return [
    header,
    ...rows.flatMap((row, index) => [
      row,
      ...given(index).flatMap((rule) => wrapWords(plain(rule), width, below)),
    ]),
  ];
}

const REQUESTABLE: readonly ListColumn<Requestable>[] = [
  { title: 'TARGET', cell: ({ target }) => target },
  { title: 'GRANT', cell: ({ policy }) => policy },
  {
    title: 'UP TO',
    whole: true,
    cell: ({ maxDurationSeconds }) => spanOf(maxDurationSeconds * 1000),
  },
  {
    title: 'APPROVERS',
    cell: ({ count, approvers }) =>
      `${count} of group${approvers.length === 1 ? '' : 's'} ${approvers.join(', ')}`,
  },
];
const GIVES: ListColumn<Requestable> = { title: 'GIVES', cell: ({ rules }) => rules.join('; ') };
