/** The ways to the same database that are measured in turn. */
import type { Demo } from '../src/demo/demo.ts';
import { startHoop } from '../src/demo/hoop-process.ts';
import { SAMPLE_DATABASE } from '../src/demo/sample-data.ts';
import type { Watchdog } from '../src/demo/watchdog.ts';
import { startNodeRelay } from './node-relay.ts';
import type { LaneName } from './options.ts';
import { startPgbouncer } from './pgbouncer.ts';
import { startSshForward } from './ssh-forward.ts';
import { startStunnelPair } from './stunnel-pair.ts';
import type { Tunnel } from './tunnel.ts';

export interface Lane {
  readonly name: LaneName;
  readonly url: string;
  /** Processes between client and PostgreSQL; none of them where nothing is. */
  readonly clientEnd: readonly number[];
  readonly serverEnd: readonly number[];
}

export interface LaneContext {
  readonly demo: Demo;
  readonly watchdog: Watchdog;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

const HOOP_TARGETS = { 'hoop allow': 'bench-allow', 'hoop masked': 'bench-masked' } as const;
/** What a lane needs beside Node.js. */
const PACKAGES = {
  'ssh -L': 'openssh-server',
  stunnel: 'stunnel4',
  pgbouncer: 'pgbouncer',
  'node relay': '',
};

/** Opens these lanes; the caller's stack ends them. One whose program is missing is left out. */
export async function openLanes(
  names: readonly LaneName[],
  context: LaneContext,
  stack: AsyncDisposableStack,
): Promise<readonly Lane[]> {
  const lanes: Lane[] = [];
  for (const name of names) {
    if (name === 'hoop allow' || name === 'hoop masked') {
      lanes.push(await openHoop(name, context, stack));
    } else if (name === 'direct') {
      lanes.push({ name, url: directUrl(context.demo).href, clientEnd: [], serverEnd: [] });
    } else if (name !== 'ssh -J' && name !== 'direct (defaults)') {
      const tunnel = await openTunnel(name, context);
      if (tunnel) {
        lanes.push(laneOf(name, stack.use(tunnel), context.demo));
      } else {
        context.say(
          `MISSING: the lane "${name}", its program is not installed (on Debian: apt-get install ${PACKAGES[name]})`,
        );
      }
    }
  }
  return lanes;
}

/**
 * A session of its own through a CLI process of its own.
 * @param home of somebody who is logged in
 */
export async function openHoop(
  name: keyof typeof HOOP_TARGETS,
  { demo, signal }: LaneContext,
  stack: AsyncDisposableStack,
  home = demo.homes['engineer'] ?? '',
): Promise<Lane> {
  const service = stack.use(
    await startHoop(['connect', HOOP_TARGETS[name], '--json'], 'listening', { home, signal }),
  );
  return {
    name,
    url: String(service.ready['url']),
    clientEnd: [service.processId],
    serverEnd: [demo.gatewayProcess().processId],
  };
}

export function laneOf(
  name: LaneName,
  tunnel: Omit<Tunnel, typeof Symbol.asyncDispose>,
  demo: Demo,
): Lane {
  const url = directUrl(demo);
  url.port = String(tunnel.port);
  const { clientEnd, serverEnd } = tunnel;
  return { name, url: url.href, clientEnd, serverEnd };
}

/** As the role that the gateway uses. */
export function directUrl(demo: Demo): URL {
  const url = new URL(demo.target.adminUrl);
  url.username = demo.target.user;
  url.password = demo.target.password;
  return url;
}

function openTunnel(
  name: keyof typeof PACKAGES,
  { demo, watchdog }: LaneContext,
): Promise<Tunnel | undefined> {
  const options = { targetPort: demo.target.port, watchdog };
  switch (name) {
    case 'ssh -L':
      return startSshForward(options);
    case 'stunnel':
      return startStunnelPair(options);
    case 'node relay':
      return startNodeRelay(options);
    case 'pgbouncer': {
      const { user, password } = demo.target;
      return startPgbouncer({ ...options, user, password, database: SAMPLE_DATABASE });
    }
  }
}
