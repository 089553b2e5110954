/** What whoever asked for something on a server is told about its approval. */
import { describeApprovers } from '../../policy/describe-grant.ts';
import type { SshAct } from '../../policy/ssh/types.ts';
import type { Refusal } from '../../policy/types.ts';
import type { ApprovalStanding, AskedApproval } from '../approvals/asked-approval.ts';
import { plainText } from '../approvals/plain-text.ts';
import { utcTime } from '../utc-time.ts';
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
    `hoop: An approver decides: hoop approvals approve ${asked.id}. Ctrl-C withdraws it.`,
  ];
}

export function pending(ask: ActAsk, asked: AskedApproval): Refusal {
  const { id } = asked;
  return refusal(ask, {
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
    case 'denied': {
      const vote = standing.votes.findLast(({ decision }) => decision === 'deny');
      const why = vote?.reason === undefined ? '' : `: ${vote.reason}`;
      return refusal(ask, {
        code: 'HOOP_APPROVAL_DENIED',
        message: `${what} was not approved`,
        detail: `${vote?.by.name ?? 'An approver'} denied request ${id}${why}${/[.!?]$/.test(why) ? '' : '.'}`,
        hint: 'Talk to them before you ask again.',
      });
    }
    case 'expired':
      return refusal(ask, {
        code: 'HOOP_APPROVAL_EXPIRED',
        message: `${what} was not approved in time`,
        detail: `Nobody decided about request ${id}. ${rulesOf(ask)}`,
        hint: 'Tell an approver, then ask again.',
      });
    default:
      return changed(ask, id, standing.outcome ?? `it is ${standing.state}`);
  }
}

export function changed(ask: ActAsk, id: string, why: string): Refusal {
  return refusal(ask, {
    code: 'HOOP_APPROVAL_VOID',
    message: `${describeAct(ask.act)} did not happen: the approval is void`,
    detail: `Request ${id}: ${why}.`,
    hint: 'Ask anew.',
  });
}

/** A command that no approver can be expected to read. */
export function tooLong(ask: ActAsk): Refusal {
  return refusal(ask, {
    code: 'HOOP_TOO_LARGE',
    message: 'the command needs approval and is too long to be shown',
    detail: rulesOf(ask),
    hint: 'Put it into a script on the server, and run that.',
  });
}

/** Nor can one that is no text be shown: the approval would be of anything. */
export function notText(ask: ActAsk): Refusal {
  return refusal(ask, {
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
  return refusal(ask, {
    code: 'HOOP_LIMIT',
    message: `${describeAct(ask.act)} needs approval, and ${error.message}`,
    detail: error.detail,
    hint: 'Wait for decisions, or withdraw what is not needed any more.',
  });
}

function rulesOf({ demands, policyCommit }: ActAsk): string {
  const rules = demands.map(({ rule }) => `${rule.id} (${rule.file}:${rule.line})`);
  const one = rules.length === 1;
  const approvers = describeApprovers(demands.map(({ terms }) => terms));
  return `${one ? 'Rule' : 'Rules'} ${rules.join(', ')} of policy ${policyCommit.slice(0, 12)} ${one ? 'asks' : 'ask'} for approval by ${approvers}.`;
}

/** Who waits should know that nobody may ever come. */
function lackingText({ lacking }: AskedApproval): string {
  return lacking
    .map(({ groups, known }) => {
      const who = known === 0 ? 'Nobody else' : `Only ${known} other${known === 1 ? '' : 's'}`;
      return `${who} in ${groups.join(', ')} ${known > 1 ? 'have' : 'has'} logged in to this gateway yet. `;
    })
    .join('');
}

function refusal(
  { demands }: ActAsk,
  text: Pick<Refusal, 'code' | 'message' | 'detail'> & { readonly hint: string },
): Refusal {
  const [demand] = demands;
  return {
    ...text,
    sqlState: '42501',
    hint: demand?.hint ?? text.hint,
    position: undefined,
    rule: demand?.rule,
  };
}
