/** What the SSH engine asks about what somebody wants to do on a server, as requests of one session. */
import { commandApprovals } from '../../../gateway/approvals/command-approvals.ts';
import type { SessionApprovalsOptions } from '../../../gateway/approvals/session-approvals.ts';
import { placesOf } from '../../../gateway/targets/target-host.ts';
import type { SshAct } from '../policy/types.ts';
import { verbOf } from './act-words.ts';
import type { SshApprovals, SshTarget } from './types.ts';

export interface ActApprovalsOptions extends SessionApprovalsOptions {
  readonly target: SshTarget;
}

/**
 * Bound to the act, where, as which user of the server, and what the policy says about it: when one
 * of these is another, it is another act. What a command means on the server (its folder, its
 * files, its PATH) nobody can bind.
 */
export function actApprovals(options: ActApprovalsOptions): SshApprovals {
  const { name, hosts, hostKeys } = options.target;
  return commandApprovals(options, {
    format: 'hoop/approval-binding/ssh/v2',
    bound: ({ act, user, command, demands }) => [
      [name, user, placesOf(hosts), [...hostKeys].sort()],
      demands.map(({ rule, terms }) => [rule.id, rule.grant ?? null, terms]),
      // Each part by itself: an arrow may stand in a path.
      [act.kind, verbOf(act), partsOf(act), command ?? null],
    ],
    shown: ({ act, command, user, touches }) => ({
      verb: verbOf(act),
      text: command ?? textOf(act),
      user,
      touches: [...touches],
    }),
  });
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
