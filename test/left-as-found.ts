import { hash } from 'node:crypto';
import { afterAll, expect } from 'vitest';

const found = take();

afterAll(() => {
  expect(take(), 'this file has changed its process for those that follow').toEqual(found);
});

/** What a file could change for the next one in the same worker. Timers of src that never end stay. */
function take(): unknown {
  const listenedTo = ['uncaughtException', 'unhandledRejection', 'warning', 'worker'];
  return {
    // Names, and values as nobody can read them.
    env: Object.entries(process.env)
      .map(([name, value = '']) => `${name} ${hash('sha256', value)}`)
      .sort(),
    directory: process.cwd(),
    umask: process.umask(),
    exitCode: process.exitCode,
    listeners: listenedTo.map((name) => process.listenerCount(name)),
    replaced: [
      ...[Date, setTimeout, setInterval, setImmediate, queueMicrotask, fetch],
      ...[process.hrtime, process.kill, process.stdout.write, process.stderr.write],
    ],
  };
}
