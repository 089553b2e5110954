/** The worker thread of leaf-hasher.ts. */
import { parentPort } from 'node:worker_threads';
import { errorCode } from '../../error-code.ts';
import { isWithoutDescriptors } from '../../free-descriptors.ts';
import { hashLeaves, type LeafJob } from '../formats/hash-leaves.ts';
import type { LeafReply } from './leaf-hasher.ts';

parentPort?.on('message', ({ id, job }: { readonly id: number; readonly job: LeafJob }) => {
  parentPort?.postMessage(answer(id, job));
});

function answer(id: number, job: LeafJob): LeafReply {
  const work = hashLeaves(job);
  try {
    for (;;) {
      const step = work.next();
      if (step.done) {
        return { id, leaves: step.value };
      }
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : 'hashing failed';
    return { id, message, code: isWithoutDescriptors(error) ? errorCode(error) : undefined };
  }
}
