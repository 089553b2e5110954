/** The worker side of command-judge.ts: one command after the other is held against the rules. */
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import type { Grant } from '../../../policy/types.ts';
import { decideSsh } from '../policy/decide-ssh.ts';
import type { SshVerdict } from '../policy/types.ts';

export interface CommandTask {
  readonly id: number;
  /** Absent: as the last time. */
  readonly grant?: Grant;
  readonly user: string;
  readonly command: string;
}

export interface CommandAnswer {
  readonly id: number;
  readonly verdict: SshVerdict;
}

if (!isMainThread && parentPort) {
  const parent = parentPort;
  // What command-judge.ts gives it: the processor's time that it had used when it took a command.
  const taken = workerData as Int32Array;
  let known: Grant | undefined;
  parent.on('message', ({ id, grant, user, command }: CommandTask) => {
    const { user: own, system } = process.threadCpuUsage();
    Atomics.store(taken, 0, (own + system) / 1000);
    known = grant ?? known;
    if (known === undefined) {
      throw new TypeError('the first command comes with a grant');
    }
    const verdict = decideSsh(known, user, { kind: 'exec', command });
    const answer: CommandAnswer = { id, verdict };
    parent.postMessage(answer);
  });
}
