/** Active runs, as lines of text. Program, prompt and reason are what a client says. */

import type { RunView } from '../api/runs.ts';
import { actorName } from '../policy/actor-name.ts';
import { spanOf } from './approvals/approval-lines.ts';
import type { LineOptions } from './replay/statement-lines.ts';
import { plain } from './text/printable.ts';
import { type Fact, factLines, type ListColumn, listTable } from './text/table.ts';
import { localTime, plural } from './text/times.ts';

export function runTable(runs: readonly RunView[], options: LineOptions, nowMs: number): string[] {
  const columns: readonly ListColumn<RunView>[] = [
    { title: 'ID', whole: true, cell: ({ id }) => id },
    { title: 'WHO', cell: whoOf },
    { title: 'PROGRAM', cell: ({ program }) => plain(program ?? '') },
    { title: 'SINCE', whole: true, cell: (run) => `${sinceOf(run, nowMs)} ago` },
    { title: 'SESSIONS', align: 'right', cell: ({ sessions }) => String(sessions.length) },
    { title: 'HELD', align: 'right', cell: ({ held }) => String(held.length) },
    { title: 'REASON', cell: ({ reason }) => plain(reason ?? '') },
  ];
  return listTable(runs, columns, options);
}

export function runLines(run: RunView, { style }: LineOptions, nowMs: number): string[] {
  const { id, parent, program, reason, targets, startedAt, expiresAt, sessions, held } = run;
  const facts: readonly Fact[] = [
    ['run', id],
    ['who', whoOf(run)],
    ['program', program === undefined ? undefined : `${program} (as the client says)`],
    ['within', parent],
    ['reason', reason],
    ['targets', targets?.join(', ') ?? 'everything that its person may reach'],
    ['since', `${localTime(Date.parse(startedAt))}, ${sinceOf(run, nowMs)} ago`],
    ['until', `${localTime(Date.parse(expiresAt))} at the latest`],
    ...(run.prompts ?? []).map(
      ({ text }) => ['prompt', `${oneLine(text)} (as the client says)`] as const,
    ),
    ['sessions', sessions.length === 0 ? 'none is open' : plural(sessions.length, 'session')],
    ...sessions.map((session) => ['', `${session.id} on ${session.target}`] as const),
    ['held', held.length === 0 ? 'nothing' : plural(held.length, 'request')],
    ...held.map((one) => ['', `${one.id} on ${one.target}, ${one.state}`] as const),
  ];
  return factLines(facts, 10, style);
}

function whoOf({ requester, agent }: RunView): string {
  return plain(actorName({ ...requester, agent, requester: undefined }));
}

function sinceOf({ startedAt }: RunView, nowMs: number): string {
  return spanOf(nowMs - Date.parse(startedAt));
}

function oneLine(text: string): string {
  return text.trim().replace(/\s+/g, ' ') || '(empty)';
}
