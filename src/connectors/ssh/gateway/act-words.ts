/** How whoever asked for something on a server is told about its approval. */

import { approvalRefusal, rulesOf } from '../../../gateway/approvals/approval-refusal.ts';
import { plainText } from '../../../gateway/base/plain-text.ts';
import { HOLD_MANNER, type HoldManner, tooLarge } from '../../../gateway/holds/hold-texts.ts';
import type { Refusal } from '../../../policy/types.ts';
import type { SshAct } from '../policy/types.ts';
import type { ActAsk } from './types.ts';

const MAX_SHOWN = 200;
/** What an approver can be expected to read, characters. */
const MAX_COMMAND = 64 * 1024;

export const ACT_MANNER: HoldManner = {
  ...HOLD_MANNER,
  elsewhere: 'it happened on another channel or connection of this run that requested the same',
  otherPlace: 'another channel or connection',
  withdraws: 'Ctrl-C withdraws it.',
};

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

/** Why nobody can be asked: what cannot be read is not approved. */
export function unreadable(ask: ActAsk): Refusal | undefined {
  const { act, command } = ask;
  if (act.kind === 'exec' && act.command === undefined) {
    // The approval would be of anything.
    return approvalRefusal(ask, {
      code: 'HOOP_APPROVAL_UNAVAILABLE',
      message: 'the command needs approval but is not UTF-8, so it cannot be shown to anybody',
      detail: rulesOf(ask),
      hint: 'Write it in UTF-8, or put it into a script on the server and run that.',
    });
  }
  const own = act.kind === 'exec' ? (act.command?.length ?? 0) : 0;
  if (own + (command?.length ?? 0) <= MAX_COMMAND) return undefined;
  return tooLarge(ask, {
    message: 'the command needs approval but is too long to be shown',
    hint: 'Put it into a script on the server and run that.',
  });
}

/** What the decision about it calls it. */
export function verbOf(act: SshAct): string {
  return act.kind === 'file' ? `sftp ${act.operation}` : act.kind;
}
