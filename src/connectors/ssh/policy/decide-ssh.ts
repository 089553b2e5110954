/**
 * What the policy says to what somebody does on a server. Deny beats approve beats allow, and what
 * no rule allows is refused. With an agent both sides must allow it. Pure.
 */
import { grantSides } from '../../../policy/grant-sides.ts';
import type { Grant } from '../../../policy/types.ts';
import { decideExec } from './decide-exec.ts';
import { decideFile } from './decide-file.ts';
import { decideForward } from './decide-forward.ts';
import { decideOpening } from './decide-opening.ts';
import type { SshCase } from './ssh-refusal.ts';
import { type SshAct, type SshVerdict, sshRules } from './types.ts';

/** @param user the one on the server that the session is logged in as */
export function decideSsh(grant: Grant, user: string, act: SshAct): SshVerdict {
  let both: SshVerdict | undefined;
  for (const side of grantSides(grant)) {
    const rules = sshRules(side).filter(({ users }) => users.length === 0 || users.includes(user));
    const verdict = decideSide({ grant: side, rules, user }, act);
    if (verdict.effect === 'refuse') {
      return verdict;
    }
    both = both === undefined ? verdict : joined(both, verdict);
  }
  if (both === undefined) {
    throw new TypeError('a grant has at least one side');
  }
  return both;
}

function decideSide(one: SshCase, act: SshAct): SshVerdict {
  switch (act.kind) {
    case 'shell':
    case 'sftp':
      return decideOpening(one, act.kind);
    case 'exec':
      return decideExec(one, act);
    case 'file':
      return decideFile(one, act);
    case 'forward':
      return decideForward(one, act);
  }
}

type Allowed = Extract<SshVerdict, { effect: 'allow' }>;

function joined(a: SshVerdict, b: Allowed): SshVerdict {
  if (a.effect === 'refuse') {
    return a;
  }
  const approvals = [...(a.approvals ?? []), ...(b.approvals ?? [])];
  const command = a.command ?? b.command;
  return {
    effect: 'allow',
    rules: [...a.rules, ...b.rules.filter(({ id }) => !a.rules.some((rule) => rule.id === id))],
    ...(approvals.length === 0 ? {} : { approvals }),
    ...(command === undefined ? {} : { command }),
    touches: a.touches,
  };
}
