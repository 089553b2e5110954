import { availableParallelism, totalmem } from 'node:os';
import { defineConfig } from 'vitest/config';
import { builtThreads } from './test/built-threads.ts';
import { LongestFirst } from './test/longest-first.ts';
import { inSharedWorkers } from './test/shared-workers.ts';

const setupFiles = ['test/plain-environment.ts', 'test/temporary-files.ts'];

export default defineConfig({
  plugins: [builtThreads()],
  test: {
    globalSetup: ['test/build-once.ts'],
    // No test is about time. These only end what hangs: on a machine that does other things as well a
    // test of one second takes a minute, and a limit that it could reach would be an assertion on time.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 120_000 } },
    // Files wait for servers of their own and for clocks a third of their time: with 3 workers for two
    // cores, cores stood idle. With what it starts a worker takes up to a gigabyte and a half.
    maxWorkers: Math.max(
      3,
      Math.min(Math.ceil(2.5 * availableParallelism()), Math.floor(totalmem() / (1.5 * 1024 ** 3))),
    ),
    // A tenth of their processor time is saved by garbage that one thread clears away, and less often
    // while a file's modules load. See also src/tune-collector.ts.
    execArgv: ['--single-threaded-gc', '--min-semi-space-size=16'],
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: 'own worker',
          include: ['test/**/*.test.ts'],
          exclude: inSharedWorkers,
          setupFiles,
        },
      },
      {
        extends: true,
        test: {
          name: 'shared worker',
          include: inSharedWorkers,
          setupFiles: [...setupFiles, 'test/left-as-found.ts'],
          isolate: false,
        },
      },
    ],
  },
});
