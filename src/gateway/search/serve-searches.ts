/** What the worker thread of search-thread.ts does: one job at a time. */
import { parentPort } from 'node:worker_threads';
import { HoopError } from '../../errors.ts';
import { FormatError } from '../../format-error.ts';
import { loadReplays, type ReplayEntry } from '../../replay/connector.ts';
import { type SearchJob, type SearchResult, searchRecording } from './search-recording.ts';
import type { SearchAnswer } from './search-thread.ts';

/** To be called in the thread, with the protocols whose recordings it can read. */
export function serveSearches(connectors: readonly ReplayEntry[]): void {
  const replays = loadReplays(connectors);
  let current = new AbortController();
  parentPort?.on('message', (message: SearchJob | 'stop') => {
    if (message === 'stop') {
      current.abort(new HoopError('HOOP_INTERRUPTED', 'nobody is waiting for it any more'));
      return;
    }
    current = new AbortController();
    const result = replays.then((read) => searchRecording(message, read, current.signal));
    void answer(result).then((reply) => parentPort?.postMessage(reply));
  });
}

async function answer(result: Promise<SearchResult>): Promise<SearchAnswer> {
  try {
    return { result: await result };
  } catch (error) {
    if (error instanceof HoopError && error.code === 'HOOP_INTERRUPTED') {
      return { failed: 'stopped' };
    }
    if (error instanceof HoopError && error.code === 'HOOP_RECORDING_LOST') {
      return { failed: 'gone' };
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
