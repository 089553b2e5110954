import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test, vi } from 'vitest';
import { SqlParser } from '../src/connectors/postgres/policy/parse/parser.ts';
import { whenDescriptorsAreFree } from '../src/free-descriptors.ts';
import { LimitedThread } from '../src/limited-thread.ts';
import { RecordingBench } from './recording/session-pair.ts';

function failing(code: string, times: number) {
  let done = 0;
  let waited = 0;
  const work = async (): Promise<string> => {
    done += 1;
    if (done <= times) throw Object.assign(new Error(code), { code });
    return 'done';
  };
  const wait = async (): Promise<void> => {
    waited += 1;
  };
  return { result: whenDescriptorsAreFree(work, wait), seen: () => ({ done, waited }) };
}

test.each(['EMFILE', 'ENFILE', 'ERR_WORKER_INIT_FAILED'])(
  'what found no descriptor (%s) is done again',
  async (code) => {
    const { result, seen } = failing(code, 3);
    expect(await result).toBe('done');
    expect(seen()).toEqual({ done: 4, waited: 3 });
  },
);

test('another error is told at once', async () => {
  const { result, seen } = failing('EIO', 1);
  await expect(result).rejects.toMatchObject({ code: 'EIO' });
  expect(seen()).toEqual({ done: 1, waited: 0 });
});

test('a process that gets none is given up', async () => {
  const { result, seen } = failing('EMFILE', Number.POSITIVE_INFINITY);
  await expect(result).rejects.toMatchObject({ code: 'EMFILE' });
  expect(seen()).toEqual({ done: 81, waited: 80 });
});

test('without a free descriptor a recording goes on in its segment, and a statement waits for its thread', async () => {
  await using bench = await RecordingBench.create();
  const script = fileURLToPath(new URL('./recording/descriptors-writer.ts', import.meta.url));
  const limited = ['-c', 'ulimit -n 100; exec "$0" "$@"', process.execPath, script];
  const { stdout } = await promisify(execFile)('bash', [...limited, bench.directory]);
  const { session, down, ...seen } = JSON.parse(stdout);
  expect(seen).toEqual({ before: 1, after: 2, stopped: false, type: 'tree' });
  const ended = await bench.ended(session);
  expect(ended.position().recorded).toContainEqual({ stream: 1, up: 0, down });
});

/** No system has room for such a stack: the thread is not started. */
const NO_STACK_MB = 1 << 27;

async function inTheEnd<T>(work: Promise<T>): Promise<T> {
  await vi.advanceTimersByTimeAsync(30_000);
  return await work;
}

test('without a thread a statement is refused for that, and what has run is not forgotten', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    await using parser = SqlParser.create({ stackMegabytes: NO_STACK_MB });
    const refused = { type: 'refused', reason: 'thread' };
    const both = Promise.all(['select 1', 'select 2'].map((text) => parser.parse(text)));
    expect(await inTheEnd(both)).toMatchObject([refused, refused]);
    expect(await parser.parse('select 1')).toMatchObject({
      message: 'the gateway cannot start a thread to read the statement',
      hint: expect.stringContaining('open files and threads'),
    });
  } finally {
    vi.useRealTimers();
  }
});

/** Takes its work, and fails. */
const FAILS = `data:text/javascript,${encodeURIComponent(`
  import { parentPort, workerData } from 'node:worker_threads';
  parentPort.on('message', () => {
    Atomics.store(workerData, 0, 1);
    throw new Error('no');
  });
`)}`;

test('work for a thread that cannot be started is given up, and says so, until one is started', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  let stackMb = NO_STACK_MB;
  try {
    await using thread = new LimitedThread({
      ...{ file: new URL(FAILS), name: 'none', limitMs: 10_000, heapMb: 64, maxWaiting: 8 },
      get stackMb() {
        return stackMb;
      },
    });
    expect(await inTheEnd(thread.run({}, { shared: {}, task: 1 }))).toBeUndefined();
    expect(thread.cannotStart).toBe(true);
    stackMb = 4;
    expect(await thread.run({}, { shared: {}, task: 1 })).toBeUndefined();
    expect(thread.cannotStart).toBe(false);
  } finally {
    vi.useRealTimers();
  }
});
