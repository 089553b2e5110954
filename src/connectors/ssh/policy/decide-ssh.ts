/**
 * What the policy says to what somebody does on a server. Deny beats approve beats allow, and what
 * no rule allows is refused. With an agent both sides must allow it. Pure.
 */
import { decideBySides } from '../../../policy/decide-by-rules.ts';
import type { Grant } from '../../../policy/types.ts';
import { decideExec } from './decide-exec.ts';
import { decideFile } from './decide-file.ts';
import { decideForward } from './decide-forward.ts';
import { decideOpening } from './decide-opening.ts';
import type { SshCase } from './ssh-refusal.ts';
import { type SshAct, type SshVerdict, sshRules } from './types.ts';

/** @param user the one on the server that the session is logged in as */
export function decideSsh(grant: Grant, user: string, act: SshAct): SshVerdict {
  return decideBySides(grant, (side) => {
    const rules = sshRules(side).filter(({ users }) => users.length === 0 || users.includes(user));
    return decideSide({ grant: side, rules, user }, act);
  });
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
