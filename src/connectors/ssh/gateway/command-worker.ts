/** The worker side of command-judge.ts: one command after the other is held against the rules. */
import { answerTasks } from '../../../limited-thread.ts';
import type { Grant } from '../../../policy/types.ts';
import { decideSsh } from '../policy/decide-ssh.ts';
import type { SshVerdict } from '../policy/types.ts';

export interface CommandTask {
  readonly user: string;
  readonly command: string;
}

answerTasks<Grant, CommandTask, SshVerdict>(({ user, command }, grant) => ({
  answer: decideSsh(grant, user, { kind: 'exec', command }),
}));
