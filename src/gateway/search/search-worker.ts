/** The worker thread of search-thread.ts: one job at a time. */
import { parentPort } from 'node:worker_threads';
import { CONNECTORS } from '../../connectors/registry.ts';
import { HoopError } from '../../errors.ts';
import { FormatError } from '../../format-error.ts';
import { loadReplays } from '../../replay/connector.ts';
import { type SearchJob, searchRecording } from './search-recording.ts';
import type { SearchAnswer } from './search-thread.ts';

const replays = loadReplays(CONNECTORS);
let current = new AbortController();

parentPort?.on('message', (message: SearchJob | 'stop') => {
  if (message === 'stop') {
    current.abort(new HoopError('HOOP_INTERRUPTED', 'nobody waits for it any more'));
    return;
  }
  current = new AbortController();
  void answer(message, current.signal).then((reply) => parentPort?.postMessage(reply));
});

async function answer(job: SearchJob, signal: AbortSignal): Promise<SearchAnswer> {
  try {
    return { result: await searchRecording(job, await replays, signal) };
  } catch (error) {
    if (error instanceof HoopError && error.code === 'HOOP_INTERRUPTED') {
      return { failed: 'stopped' };
    }
    if (error instanceof HoopError && error.code === 'HOOP_RECORDING_LOST') {
      return { failed: 'erased' };
    }
    return { failed: 'damaged', message: describe(error) };
  }
}

/** Errors of our own say where a recording is wrong; others might quote what they stumbled over. */
function describe(error: unknown): string {
  if (error instanceof FormatError || error instanceof HoopError) {
    return error.message;
  }
  return error instanceof Error ? error.name : 'unknown';
}
