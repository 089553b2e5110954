/** Requests for approval as lines of text. Everything in them was typed by somebody else. */

import type { Approval, StatementPart } from '../../api/approvals.ts';
import { withLater } from '../../api/view.ts';
import { actorName } from '../../policy/actor-name.ts';
import { needDifferentPeople } from '../../policy/joint-needs.ts';
import { peopleText } from '../../policy/words/people-text.ts';
import { isLimit } from '../../recording/formats/prompt.ts';
import { NO_ROOM } from '../prompt-lines.ts';
import type { LineOptions } from '../replay/statement-lines.ts';
import { plain } from '../text/printable.ts';
import type { Mark, Style } from '../text/style.ts';
import { type ListColumn, listTable } from '../text/table.ts';
import { localTime } from '../text/times.ts';
import { fieldLines, LABEL, viewLines } from '../view-lines.ts';

/** Width of a terminal from which on there is room for who and since when. */
const WIDE = 100;
const MAX_SUBJECT = 500;

const MARKS = {
  waiting: { sign: '●', word: 'waiting', tone: 'yellow' },
  approved: { sign: '✓', word: 'approved', tone: 'green' },
  used: { sign: '✓', word: 'used', tone: 'green' },
  denied: { sign: '✗', word: 'denied', tone: 'red' },
  expired: { sign: '-', word: 'expired', tone: 'dim' },
  withdrawn: { sign: '-', word: 'withdrawn', tone: 'dim' },
  void: { sign: '-', word: 'void', tone: 'dim' },
} as const satisfies Record<Approval['state'], Mark>;

export function approvalMark({ state }: Pick<Approval, 'state'>): Mark {
  return MARKS[state];
}

/** What is asked for, on one line. */
export function approvalSubject(approval: Approval): string {
  if (approval.access !== undefined) {
    const { policy, durationSeconds } = approval.access;
    return plain(`${policy} for ${spanOf(durationSeconds * 1000)}`);
  }
  // One line shows no more than this; the text may be a megabyte.
  const { statement, command } = approval;
  const text = (statement ?? command)?.text.slice(0, MAX_SUBJECT) ?? '(no longer kept)';
  return plain(text.trim().replace(/\s+/g, ' ')) || '(empty statement)';
}

/** Who asks: the person, and the agent that acts for them. */
export function approvalRequester({ requester, agent, requestedFor }: Approval): string {
  return plain(actorName({ ...requester, agent, requester: requestedFor }));
}

/** `4 min left`, `0:35 left`; empty when it waits no longer. */
export function timeLeft(approval: Approval, nowMs: number): string {
  if (approval.state !== 'waiting') {
    return '';
  }
  const leftMs = Date.parse(approval.waitsUntil) - nowMs;
  return leftMs <= 0 ? 'time is over' : `${spanOf(leftMs)} left`;
}

/** Whole and short, for what counts down: `2 d 3 h`, `2 h 5 min`, `4 min`, `35 s`. */
export function spanOf(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const parts: readonly (readonly [number, string])[] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([value]) => value > 0);
  if (first === -1) {
    return '0 s';
  }
  // Two parts at most, and no seconds beside minutes: nobody reads them.
  const shown = parts.slice(first, first + 2).filter(([value, unit], index) => {
    return value > 0 && (index === 0 || unit !== 's' || seconds < 120);
  });
  return shown.map(([value, unit]) => `${value} ${unit}`).join(' ');
}

export function approvalTable(
  approvals: readonly Approval[],
  options: LineOptions,
  nowMs: number,
): string[] {
  const columns: readonly ListColumn<Approval>[] = [
    { title: 'ID', whole: true, cell: ({ id }) => id },
    {
      title: 'STATE',
      whole: true,
      paint: (text, cell) => paintWord(text, cell, options.style),
      cell: (approval) => approvalMark(approval).word,
    },
    { title: 'WHO', cell: approvalRequester },
    { title: 'TARGET', cell: ({ target }) => target },
    {
      title: 'SINCE',
      whole: true,
      from: WIDE,
      cell: ({ createdAt }) => `${spanOf(nowMs - Date.parse(createdAt))} ago`,
    },
    { title: 'LEFT', whole: true, cell: (one) => timeLeft(one, nowMs).replace(/ left$/, '') },
    { title: 'ASKS FOR', cell: approvalSubject },
  ];
  return listTable(approvals, columns, options);
}

function paintWord(text: string, word: string, style: Style): string {
  const mark = Object.values(MARKS).find((one) => one.word === word);
  return mark === undefined ? text : style[mark.tone](text);
}

/** Everything that an approver should see before deciding. */
export function approvalLines(approval: Approval, options: LineOptions, nowMs: number): string[] {
  const { style } = options;
  const mark = approvalMark(approval);
  const left = timeLeft(approval, nowMs);
  const fact = (name: string, value: string | undefined): string[] =>
    value === undefined ? [] : fieldLines([{ name, value }], options);
  const since = `${localTime(Date.parse(approval.createdAt))}, ${spanOf(nowMs - Date.parse(approval.createdAt))} ago${left === '' ? '' : `, ${left}`}`;
  return [
    `${style.bold('request'.padEnd(LABEL))}${plain(approval.id)}  ${style[mark.tone](`${mark.sign} ${mark.word}`)}${approval.outcome === undefined ? '' : `  ${plain(approval.outcome)}`}`,
    ...fact('who', approvalRequester(approval)),
    ...fact('target', approval.target),
    ...fact('since', since),
    ...fact('client', awaitedText(approval)),
    ...fact('reason', approval.reason ?? 'none given'),
    ...fact('prompt', promptText((approval.statement ?? approval.command)?.prompt)),
    ...subjectLines(approval, options, fact),
    ...approval.needs.flatMap((need) =>
      fact(
        'needs',
        `${missingText(need) ?? 'no more approvals'} (${need.rule}: ${need.approvedBy} of ${need.count})${lackingText(approval, need)}`,
      ),
    ),
    ...fact('needs', needDifferentPeople(approval.needs) ? DIFFERENT_PEOPLE : undefined),
    ...approval.votes.flatMap((vote) =>
      fact(
        vote.decision === 'approve' ? 'approved' : 'denied',
        `by ${vote.by.name}, ${localTime(Date.parse(vote.at))}${vote.reason ? `: ${vote.reason}` : ''}`,
      ),
    ),
    ...fact('policy', approval.policyCommit.slice(0, 12)),
  ];
}

/** Says which approvals a request still needs. @returns undefined if it needs none */
function missingText({ groups, count, approvedBy }: Approval['needs'][number]): string | undefined {
  const missing = count - approvedBy;
  return missing > 0
    ? peopleText({ groups, count: missing }, approvedBy > 0 ? 'more ' : '')
    : undefined;
}

const DIFFERENT_PEOPLE = 'different people: one person counts for one of these groups only';

/** Programs give up what takes long. */
function awaitedText({ awaited, state }: Approval): string | undefined {
  return awaited === false && (state === 'waiting' || state === 'approved')
    ? 'has given up waiting; the same statement, sent again in its run, resumes this request'
    : undefined;
}

/** Not a fact: whoever asks has typed it, or a program of theirs. */
function promptText(prompt: StatementPart['prompt']): string | undefined {
  if (prompt === undefined) {
    return undefined;
  }
  if (isLimit({ id: prompt.id, bytes: prompt.text.length })) {
    return NO_ROOM;
  }
  const more = prompt.shortened ? ' …' : '';
  return `${prompt.text.trim().replace(/\s+/g, ' ') || '(empty)'}${more} (as the client says)`;
}

/** What waits for people whom the gateway has never seen may wait for nobody. */
function lackingText(
  { state }: Pick<Approval, 'state'>,
  { known, count }: Approval['needs'][number],
): string {
  if (state !== 'waiting' || known === undefined || known >= count) {
    return '';
  }
  const who = known === 0 ? 'nobody but the requester' : `only ${known} besides the requester`;
  return `; of these ${who} has logged in to the gateway yet`;
}

/** The same, in a sentence, for whoever has just asked. */
export function lackingNotes(approval: Approval): string[] {
  return approval.needs.flatMap((need) => {
    const { known, count, groups } = need;
    return approval.state !== 'waiting' || known === undefined || known >= count
      ? []
      : [
          plain(
            `${known === 0 ? 'nobody else' : `only ${known} other${known === 1 ? '' : 's'}`} in ${groups.join(', ')} ${known > 1 ? 'have' : 'has'} logged in to the gateway yet: tell them`,
          ),
        ];
  });
}

type Fact = (name: string, value: string | undefined) => string[];

function subjectLines(approval: Approval, options: LineOptions, fact: Fact): string[] {
  const { access } = approval;
  if (access !== undefined) {
    return [
      ...fact('asks for', `${access.policy}, for ${spanOf(access.durationSeconds * 1000)}`),
      ...access.rules.flatMap((rule) => fact('gives', rule)),
    ];
  }
  const held = approval.statement ?? approval.command;
  return held === undefined
    ? fact(approval.kind, 'no longer kept')
    : [
        ...viewLines(withLater(held.view, held.later), options, 'fields'),
        ...fact('session', held.session),
      ];
}

/** What a decision has come to, for whoever made it. */
export function decisionText(approval: Approval, decision: 'approve' | 'deny'): string {
  const subject = `${plain(approval.id)} of ${approvalRequester(approval)}`;
  if (decision === 'deny') {
    return `denied request ${subject}`;
  }
  const missing = approval.needs.flatMap((need) => missingText(need) ?? []).map(plain);
  const others = needDifferentPeople(approval.needs) ? ', other than those so far' : '';
  return `approved request ${subject}${missing.length === 0 ? '' : `; it still needs ${[...new Set(missing)].join(', and ')}${others}`}`;
}

/** One line about a request that was shown before. */
export function approvalChangeLine(approval: Approval, style: Style): string {
  const mark = approvalMark(approval);
  const vote = approval.votes.at(-1);
  const by = vote === undefined ? '' : ` by ${plain(vote.by.name)}`;
  const why = vote?.reason ? `: ${plain(vote.reason)}` : '';
  const outcome = approval.outcome === undefined ? '' : ` (${plain(approval.outcome)})`;
  return `${plain(approval.id)}  ${style[mark.tone](`${mark.sign} ${mark.word}`)}${by}${why}${outcome}`;
}
