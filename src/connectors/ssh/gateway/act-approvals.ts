/** What the SSH engine asks about what somebody wants to do on a server, as requests of one session. */
import { createHash } from 'node:crypto';
import type { CommandPart } from '../../../api/approvals.ts';
import type { ApprovalRecord } from '../../../gateway/approvals/approval-record.ts';
import { shownPrompt } from '../../../gateway/approvals/asked-approval.ts';
import { askedBy } from '../../../gateway/approvals/policy-standing.ts';
import {
  keptIn,
  type SessionApprovalsOptions,
  sessionApprovals,
  sessionRequest,
} from '../../../gateway/approvals/session-approvals.ts';
import { placesOf } from '../../../gateway/targets/target-host.ts';
import type { SshAct } from '../policy/types.ts';
import { verbOf } from './ssh-story.ts';
import type { ActAsk, SshApprovals, SshTarget } from './types.ts';

export interface ActApprovalsOptions extends SessionApprovalsOptions {
  readonly target: SshTarget;
}

export function actApprovals(options: ActApprovalsOptions): SshApprovals {
  return sessionApprovals(
    options,
    (ask) => bindingOf(options, ask),
    (...asked) => create(options, ...asked),
  );
}

function create(
  options: ActApprovalsOptions,
  ask: ActAsk,
  binding: string,
  waits: boolean,
): ApprovalRecord {
  const { approvals, policy, principal, target } = options;
  return approvals.create({
    ...sessionRequest(options, ask, binding, waits),
    kind: 'command',
    details: {
      ...commandPart(options, ask, waits),
      asked: askedBy(policy, principal, target.name),
    },
  });
}

function commandPart(
  { session, prompt }: ActApprovalsOptions,
  { stream, at, act, command, user, touches }: ActAsk,
  waits: boolean,
): CommandPart {
  const inForce = prompt();
  return {
    session,
    stream,
    at,
    verb: verbOf(act),
    text: command ?? textOf(act),
    shortened: false,
    user,
    touches: [...touches],
    waits,
    ...(inForce === undefined ? {} : { prompt: shownPrompt(inForce) }),
  };
}

function partsOf(act: SshAct): readonly unknown[] {
  return act.kind === 'file' ? [act.path, act.to ?? null] : [textOf(act)];
}

function textOf(act: SshAct): string {
  switch (act.kind) {
    case 'shell':
    case 'sftp':
      return act.kind;
    case 'exec':
      return act.command ?? '';
    case 'file':
      return act.to === undefined ? act.path : `${act.path} → ${act.to}`;
    case 'forward':
      return `${act.host}:${act.port}`;
  }
}

/**
 * The act, who, for whom, where, as which user of the server, and what the policy says about it:
 * when one of these is another, it is another act. What a command means on the server (its folder,
 * its files, its PATH) nobody can bind.
 */
function bindingOf(options: ActApprovalsOptions, ask: ActAsk): string {
  const { principal, target } = options;
  const { act, user, command, demands } = ask;
  const bound = [
    'hoop/approval-binding/ssh/v2',
    [principal.issuer, principal.sub],
    principal.agent ?? null,
    ...(principal.requester === undefined ? [] : [principal.requester]),
    [target.name, user, placesOf(target.hosts), [...target.hostKeys].sort()],
    demands.map(({ rule, terms }) => [rule.id, rule.grant ?? null, terms]),
    // Each part by itself: an arrow may stand in a path.
    [act.kind, verbOf(act), partsOf(act), command ?? null],
    ...keptIn(options, ask),
  ];
  return createHash('sha256').update(JSON.stringify(bound)).digest('hex');
}
