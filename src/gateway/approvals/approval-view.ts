/** A request as the API shows it to one person. */

import {
  AccessPart,
  type Approval,
  type ApprovalPrompt,
  CommandPart,
  StatementPart,
} from '../../api/approvals.ts';
import { cutView } from '../../api/view.ts';
import type { Principal } from '../../policy/types.ts';
import type { ApprovalRecord, Party } from './approval-record.ts';
import type { Approvals } from './approvals.ts';
import { mayDecide } from './may-decide.ts';

/** Characters of a statement that a list shows. */
const MAX_LISTED_TEXT = 2000;
const MAX_LISTED_PROMPT = 200;

export async function approvalView(
  approvals: Approvals,
  record: ApprovalRecord,
  who: Principal,
  isListed: boolean,
): Promise<Approval> {
  const { kind, usableUntilMs, endedMs, agent, requestedFor, reason, outcome } = record;
  const details = await approvals.details(record.id);
  const needs = await needsOf(approvals, record, isListed);
  // What an earlier version asked, or nobody keeps any more, is listed without what it is about.
  const statement = kind === 'statement' ? StatementPart.safeParse(details).data : undefined;
  const command = kind === 'command' ? CommandPart.safeParse(details).data : undefined;
  return {
    id: record.id,
    kind,
    state: record.state,
    requester: shownParty(record.requester),
    ...(agent === undefined ? {} : { agent }),
    ...(requestedFor === undefined
      ? {}
      : { requestedFor: { name: requestedFor, claimedBy: 'issuer' as const } }),
    target: record.target,
    ...(reason === undefined ? {} : { reason }),
    createdAt: time(record.createdMs),
    waitsUntil: time(record.waitsUntilMs),
    ...(usableUntilMs === undefined ? {} : { usableUntil: time(usableUntilMs) }),
    ...(endedMs === undefined ? {} : { endedAt: time(endedMs) }),
    ...(outcome === undefined ? {} : { outcome }),
    needs,
    votes: record.votes.map(({ by, decision, reason: why, atMs }) => ({
      by: shownParty(by),
      decision,
      ...(why === undefined ? {} : { reason: why }),
      at: time(atMs),
    })),
    policyCommit: record.policyCommit,
    binding: record.binding,
    ...((statement ?? command)?.waits === true && !record.diesWithConnection
      ? { awaited: approvals.isAwaited(record.id) }
      : {}),
    mayDecide: mayDecide(who, record),
    ...(statement === undefined
      ? {}
      : { statement: isListed ? shortStatement(statement) : statement }),
    ...(command === undefined ? {} : { command: isListed ? shortened(command) : command }),
    ...(kind === 'access' ? { access: AccessPart.parse(details) } : {}),
  };
}

async function needsOf(
  approvals: Approvals,
  record: ApprovalRecord,
  isListed: boolean,
): Promise<Approval['needs']> {
  const needs: Approval['needs'] = [];
  const approved = await approvals.approvedBy(record);
  for (const [index, need] of record.needs.entries()) {
    needs.push({
      ...need,
      groups: [...need.groups],
      approvedBy: approved[index] ?? 0,
      ...(isListed ? {} : { known: await approvals.known(record, need) }),
    });
  }
  return needs;
}

function shortStatement(statement: StatementPart): StatementPart {
  const listed = shortened(statement);
  const { length } = statement.parameters;
  return { ...listed, parameters: [], shortened: listed.shortened || length > 0 };
}

function shortened<Part extends StatementPart | CommandPart>(part: Part): Part {
  const { text, prompt } = part;
  const { view, more } = cutView(part.view, MAX_LISTED_TEXT);
  return {
    ...part,
    text: text.slice(0, MAX_LISTED_TEXT).toWellFormed(),
    view,
    shortened: part.shortened || more > 0 || text.length > MAX_LISTED_TEXT,
    ...(prompt === undefined ? {} : { prompt: shortPrompt(prompt) }),
  };
}

function shortPrompt(prompt: ApprovalPrompt): ApprovalPrompt {
  const text = prompt.text.slice(0, MAX_LISTED_PROMPT).toWellFormed();
  return { ...prompt, text, shortened: prompt.shortened || prompt.text.length > MAX_LISTED_PROMPT };
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}

/** The marks that tell people apart are nobody else's business. */
function shownParty({ issuer, sub, name }: Party): Approval['requester'] {
  return { issuer, sub, name };
}
