/** The metrics of a running gateway: its counters, and gauges that are read when they are asked for. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { DiskRoom } from '../base/disk-room.ts';
import { errorFields } from '../base/log.ts';
import { gauge, type Labels, type Metric, renderMetrics } from '../metrics/metric.ts';
import { listenMetrics } from '../metrics/metrics-listener.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { GatewayData, Opening } from './open-data.ts';
import type { OpenPolicy } from './open-policy.ts';

export interface MetricsParts {
  readonly data: GatewayData;
  readonly inForce: OpenPolicy;
  readonly sessions: Sessions;
  readonly room: DiskRoom;
  /** Reasons why the gateway is not ready; empty if it is. */
  readonly unready: () => Promise<readonly string[]>;
}

const NANOSECONDS = 1e9;
const LOOP_RESOLUTION_MS = 10;

/** Listens if the configuration has an address for metrics. @throws HOOP_LOCAL_STATE */
export async function openMetrics(
  { config, log, opened, version, clock }: Opening,
  parts: MetricsParts,
): Promise<void> {
  if (config.metrics === undefined) return;
  const loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  loop.enable();
  opened.defer(() => {
    loop.disable();
  });
  const eventLoop = gauge(
    'hoop_event_loop_lag_seconds',
    'Delay of the event loop since the last reading.',
    () => {
      const samples = [50, 99, 100].map((percentile) => ({
        labels: { percentile: String(percentile) },
        value: loop.percentile(percentile) / NANOSECONDS,
      }));
      loop.reset();
      return samples;
    },
  );
  const metrics = [
    gauge('hoop_build_info', 'Version of hoop and of Node.js.', () =>
      one(1, { version, node_version: process.versions.node }),
    ),
    ...parts.data.metrics.metrics,
    ...gatewayGauges(parts, clock),
    ...processMetrics(),
    eventLoop,
  ];
  const listener = opened.use(
    await listenMetrics(config.metrics.listen, () =>
      renderMetrics(metrics, (metric, error) =>
        log.warn('metrics.unreadable', { metric, ...errorFields(error) }),
      ),
    ),
  );
  log.info('metrics.listening', { host: config.metrics.listen.host, port: listener.port });
}

function gatewayGauges(
  { data, inForce, sessions, room, unready }: MetricsParts,
  clock: () => number,
): readonly Metric[] {
  const { policy, access, approvals } = inForce;
  return [
    gauge('hoop_ready', '1 if the gateway can take new sessions.', async () =>
      one((await unready()).length === 0 ? 1 : 0),
    ),
    gauge('hoop_sessions_live', 'Live sessions of this node, by target.', () => {
      const byTarget = [...sessions.liveByTarget()];
      return byTarget.length === 0
        ? one(0, { target: '' })
        : byTarget.map(([target, value]) => ({ labels: { target }, value }));
    }),
    {
      name: 'hoop_relayed_bytes_total',
      help: 'Bytes that were recorded and relayed.',
      type: 'counter',
      samples: () => {
        const { up, down } = sessions.relayedBytes();
        return [
          { labels: { direction: 'up' }, value: up },
          { labels: { direction: 'down' }, value: down },
        ];
      },
    },
    gauge('hoop_approvals_waiting', 'Requests that wait for approvers.', async () =>
      one(await approvals.countWaiting()),
    ),
    gauge('hoop_grants_live', 'Temporary grants that hold now.', () => one(access.liveCount)),
    gauge(
      'hoop_recordings_unsigned',
      'Ended sessions whose recording is not signed yet.',
      async () => one((await data.index.withoutManifest(clock())).length),
    ),
    gauge('hoop_policy_in_force', '1 if a policy is in force.', () =>
      one(policy.current() === undefined ? 0 : 1),
    ),
    gauge(
      'hoop_policy_problem',
      '1 if the newest commit is not in force, or cannot be fetched.',
      () => one(policy.status().problem === undefined ? 0 : 1),
    ),
    gauge('hoop_policy_age_seconds', 'Time since the policy was last fetched.', () => {
      const { fetchedAt } = policy.status();
      return fetchedAt === undefined ? [] : one(Math.max(0, clock() - fetchedAt.getTime()) / 1000);
    }),
    gauge('hoop_disk_free_ratio', 'Free part of the disk with recordings, 0 to 1.', () =>
      one(room.freeRatio),
    ),
    gauge(
      'hoop_store_away_seconds',
      'Time for which the store has not answered; 0 if it does.',
      () => one(data.kept.awayMs / 1000),
    ),
  ];
}

/** https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics */
function processMetrics(): readonly Metric[] {
  return [
    {
      name: 'process_cpu_seconds_total',
      help: 'User and system CPU time of the process.',
      type: 'counter',
      samples: () => {
        const { user, system } = process.cpuUsage();
        return one((user + system) / 1e6);
      },
    },
    gauge('process_resident_memory_bytes', 'Resident memory of the process.', () =>
      one(process.memoryUsage.rss()),
    ),
    gauge('process_start_time_seconds', 'Start of the process, seconds since 1970.', () =>
      one(Math.round(Date.now() / 1000 - process.uptime())),
    ),
  ];
}

function one(value: number, labels: Labels = {}): { labels: Labels; value: number }[] {
  return [{ labels, value }];
}
