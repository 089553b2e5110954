/**
 * Ends what a demo has started when the demo cannot do it any more, because it was killed. Its stdin
 * is a pipe from the demo, one JSON line for each thing to see to; the system closes the pipe with
 * the demo, however that ends.
 */
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { isRunning } from '../is-running.ts';
import { WatchdogLine } from './watchdog.ts';

/** From one signal to the next, harder one, and from the last to the removal of the directories. */
const STOP_WITHIN_MS = 7000;
const LOOK_EVERY_MS = 50;

const processes = new Map<number, NodeJS.Signals>();
const directories = new Set<string>();

for await (const text of createInterface({ input: process.stdin })) {
  const line = WatchdogLine.parse(JSON.parse(text));
  if (line.type === 'process') {
    processes.set(line.id, line.signal);
  } else if (line.type === 'ended') {
    processes.delete(line.id);
  } else {
    directories.add(line.path);
  }
}

for (const [id, signal] of processes) {
  send(id, signal);
}
await gone();
// PostgreSQL's immediate shutdown: the postmaster kills what does not listen, after five seconds.
// Killed itself, it would leave a backend that is in the middle of a long plan to go on alone.
for (const [id, signal] of processes) {
  send(id, signal === 'SIGINT' ? 'SIGQUIT' : 'SIGKILL');
}
await gone();
for (const id of processes.keys()) {
  send(id, 'SIGKILL');
}
await gone();
for (const path of directories) {
  rmSync(path, { recursive: true, force: true, maxRetries: 10 });
}

async function gone(): Promise<void> {
  for (let waited = 0; waited < STOP_WITHIN_MS; waited += LOOK_EVERY_MS) {
    for (const id of processes.keys()) {
      if (!isRunning(id)) {
        processes.delete(id);
      }
    }
    if (processes.size === 0) {
      return;
    }
    await delay(LOOK_EVERY_MS);
  }
}

function send(id: number, signal: NodeJS.Signals): void {
  try {
    process.kill(id, signal);
  } catch {
    // It has ended by itself.
  }
}
