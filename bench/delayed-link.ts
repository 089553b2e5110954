/** A link between two cities, on loopback: see delayed-link-end.ts. */
import { fileURLToPath } from 'node:url';
import type { Watchdog } from '../src/demo/watchdog.ts';
import { freePort } from './free-port.ts';
import { HelperProcess } from './helper-process.ts';

const END = fileURLToPath(new URL('./delayed-link-end.ts', import.meta.url));
/** Between Frankfurt and Madrid, or the coasts of a smaller country. */
const ROUND_TRIP_MS = 40;
/** Before the names of rows that are measured over one. */
export const LINK_TITLE = `${ROUND_TRIP_MS} ms link: `;

export interface DelayedLink extends AsyncDisposable {
  /** What connects here gets there half a round trip later, and the answers so much later again. */
  readonly port: number;
}

export async function startDelayedLink(options: {
  readonly targetPort: number;
  readonly watchdog: Watchdog;
}): Promise<DelayedLink> {
  const port = await freePort();
  const args = [END, `${port}`, `${options.targetPort}`, `${ROUND_TRIP_MS / 2}`];
  const { watchdog } = options;
  const end = await HelperProcess.start({ program: process.execPath, args, port, watchdog });
  return { port, [Symbol.asyncDispose]: () => end[Symbol.asyncDispose]() };
}
