/** The same lanes when a link of 40 ms is between the one who asks and the other end. */
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { logIntoGateway } from '../src/demo/demo.ts';
import { startDelayedLink } from './delayed-link.ts';
import { type Lane, type LaneContext, laneOf, openHoop } from './lanes.ts';
import type { LaneName } from './options.ts';
import { startSshForward } from './ssh-forward.ts';

/**
 * The gateway starts again, and is known behind a link as well.
 * @returns a HOOP_HOME that knows it there and nowhere else.
 */
export async function openFarHome(
  { demo, watchdog, signal }: LaneContext,
  stack: AsyncDisposableStack,
): Promise<string> {
  const targetPort = Number(new URL(demo.gateway).port);
  const { port } = stack.use(await startDelayedLink({ targetPort, watchdog }));
  const url = new URL(demo.gateway);
  url.port = String(port);
  appendFileSync(join(demo.directory, 'gateway.yaml'), `publicUrl: ${url.origin}\n`);
  await demo.restartGateway();
  const home = join(demo.directory, 'homes', 'far');
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const account = demo.accounts.find(({ name }) => name === 'engineer');
  if (account === undefined) {
    throw new TypeError('the demo has no engineer');
  }
  await logIntoGateway({ account, home, gateway: url.origin, ca: demo.ca, signal });
  return home;
}

/** Those that there are of direct, ssh -L and hoop allow; the caller's stack ends them. */
export async function openFarLanes(
  names: readonly LaneName[],
  farHome: string,
  context: LaneContext,
  stack: AsyncDisposableStack,
): Promise<readonly Lane[]> {
  const { demo, watchdog } = context;
  const targetPort = demo.target.port;
  const lanes: Lane[] = [];
  if (names.includes('direct')) {
    const link = stack.use(await startDelayedLink({ targetPort, watchdog }));
    const nobody = { clientEnd: [], serverEnd: [] };
    lanes.push(laneOf('direct', { port: link.port, ...nobody }, demo));
  }
  if (names.includes('ssh -L')) {
    const tunnel = await startSshForward({ targetPort, watchdog, isFar: true });
    if (tunnel) {
      lanes.push(laneOf('ssh -L', stack.use(tunnel), demo));
    }
  }
  if (names.includes('hoop allow')) {
    lanes.push(await openHoop('hoop allow', context, stack, farHome));
  }
  return lanes;
}
