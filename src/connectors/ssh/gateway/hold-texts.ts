/** What whoever asked for something on a server is told about its approval. */

import {
  approvalRefusal,
  denialText,
  lackingText,
  rulesOf,
} from '../../../gateway/approvals/approval-refusal.ts';
import type { ApprovalStanding, AskedApproval } from '../../../gateway/approvals/asked-approval.ts';
import { plainText } from '../../../gateway/approvals/plain-text.ts';
import { utcTime } from '../../../gateway/base/utc-time.ts';
import type { Refusal } from '../../../policy/types.ts';
import type { SshAct } from '../policy/types.ts';
import type { ActAsk } from './types.ts';

const MAX_SHOWN = 200;

/** E.g. `command "systemctl restart web"`; for people. */
export function describeAct(act: SshAct): string {
  switch (act.kind) {
    case 'shell':
      return 'a shell';
    case 'sftp':
      return 'sftp';
    case 'exec':
      return act.command === undefined
        ? 'a command that is not UTF-8'
        : `the command "${plainText(act.command, MAX_SHOWN)}"`;
    case 'file':
      return `${act.operation} of ${plainText(act.path, MAX_SHOWN)}`;
    case 'forward':
      return `a connection to ${plainText(act.host, MAX_SHOWN)}:${act.port}`;
  }
}

export function heldMessage({ act }: ActAsk, { id }: AskedApproval): string {
  return `${describeAct(act)} is held for approval, request ${id}`;
}

/** While it waits. */
export function heldLines(ask: ActAsk, asked: AskedApproval): string[] {
  return [
    `hoop: ${heldMessage(ask, asked)}`,
    `hoop: ${rulesOf(ask)} ${lackingText(asked)}It waits until ${utcTime(asked.waitsUntilMs)}.`,
    `hoop: An approver decides: hoop approvals approve ${asked.id}. ${asked.isKept ? 'Asked for again in this run, the very same waits on, and happens once when it is approved.' : 'Ctrl-C withdraws it.'}`,
  ];
}

export function pending(ask: ActAsk, asked: AskedApproval): Refusal {
  const { id } = asked;
  return approvalRefusal(ask, {
    code: 'HOOP_APPROVAL_PENDING',
    message: `${describeAct(ask.act)} needs approval, request ${id} is waiting`,
    detail: `${rulesOf(ask)} ${lackingText(asked)}`.trimEnd(),
    hint: `Ask for the very same again when \`hoop approvals show ${id}\` says approved; it runs once.`,
  });
}

export function notApproved(
  ask: ActAsk,
  { id }: AskedApproval,
  standing: ApprovalStanding,
): Refusal {
  const what = describeAct(ask.act);
  switch (standing.state) {
    case 'denied':
      return approvalRefusal(ask, {
        code: 'HOOP_APPROVAL_DENIED',
        message: `${what} was not approved`,
        detail: denialText(id, standing),
        hint: 'Talk to them before you ask again.',
      });
    case 'expired':
      return approvalRefusal(ask, {
        code: 'HOOP_APPROVAL_EXPIRED',
        message: `${what} was not approved in time`,
        detail: `Nobody decided about request ${id}. ${rulesOf(ask)}`,
        hint: 'Tell an approver, then ask again.',
      });
    case 'used':
      return usedElsewhere(ask, id);
    default:
      return changed(ask, id, standing.outcome ?? `it is ${standing.state}`);
  }
}

/** The same was asked for twice in a run, and one of them has happened. */
export function usedElsewhere(ask: ActAsk, id: string): Refusal {
  return {
    ...changed(
      ask,
      id,
      'it happened on another channel or connection of this run, which asked for the same',
    ),
    hint: 'Look at what it has done. Ask again only where it is to be done twice; that needs another approval.',
  };
}

export function changed(ask: ActAsk, id: string, why: string): Refusal {
  return approvalRefusal(ask, {
    code: 'HOOP_APPROVAL_VOID',
    message: `${describeAct(ask.act)} did not happen: the approval is void`,
    detail: `Request ${id}: ${why}.`,
    hint: 'Ask anew.',
  });
}

/** A command that no approver can be expected to read. */
export function tooLong(ask: ActAsk): Refusal {
  return approvalRefusal(ask, {
    code: 'HOOP_TOO_LARGE',
    message: 'the command needs approval and is too long to be shown',
    detail: rulesOf(ask),
    hint: 'Put it into a script on the server, and run that.',
  });
}

/** Nor can one that is no text be shown: the approval would be of anything. */
export function notText(ask: ActAsk): Refusal {
  return approvalRefusal(ask, {
    code: 'HOOP_APPROVAL_UNAVAILABLE',
    message: 'the command needs approval and is not UTF-8, so that nobody can be shown it',
    detail: rulesOf(ask),
    hint: 'Write it in UTF-8, or put it into a script on the server, and run that.',
  });
}

export function tooMany(
  ask: ActAsk,
  error: { readonly message: string; readonly detail?: string | undefined },
): Refusal {
  return approvalRefusal(ask, {
    code: 'HOOP_LIMIT',
    message: `${describeAct(ask.act)} needs approval, and ${error.message}`,
    detail: error.detail,
    hint: 'Wait for decisions, or withdraw what is not needed any more.',
  });
}
