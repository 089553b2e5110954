/** The worker side of git-thread.ts. */
import { isMainThread, parentPort } from 'node:worker_threads';
import { HoopError } from '../../errors.ts';
import { type GitRun, runGit } from './git.ts';
import type { GitAnswer, GitTask } from './git-thread.ts';

if (!isMainThread && parentPort) {
  const parent = parentPort;
  const running = new Map<number, AbortController>();
  parent.on('message', (task: GitTask) => {
    if (task.type === 'stop') {
      running.get(task.id)?.abort();
      return;
    }
    const { id, options } = task;
    const stop = new AbortController();
    running.set(id, stop);
    void runGit({ ...options, signal: stop.signal })
      .then(
        (run): GitAnswer => ({ id, run }),
        (error: unknown): GitAnswer => ({ id, error: told(error) }),
      )
      .then((answer) => {
        running.delete(id);
        parent.postMessage(answer);
      });
  });
}

function told(error: unknown): Exclude<GitAnswer, { run: GitRun }>['error'] {
  if (!(error instanceof HoopError)) {
    return { code: undefined, message: error instanceof Error ? error.message : String(error) };
  }
  const { code, message, detail, hint } = error;
  return { code, message, detail, hint };
}
