/** Nodes of a store, for whoever runs its gateways: which there are, and the end of one that is gone. */
import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { HoopError } from '../../errors.ts';
import { type GatewayConfig, readGatewayConfig } from '../base/config.ts';
import { createLog, type Log } from '../base/log.ts';
import { AuditEvents } from '../events/audit-events.ts';
import { openNodeId } from '../nodes/node-id.ts';
import { RENEW_EVERY_MS } from '../nodes/node-lease.ts';
import { type NodeRow, NodeStore, type TakenOver } from '../nodes/node-store.ts';
import { endLeftBehind } from '../sessions/end-left-behind.ts';
import type { Store } from '../store/store.ts';
import { openDataDirectory } from './data-directory.ts';
import { openStore } from './open-store.ts';

export interface NodesOptions {
  /** Of a gateway of the same store, which runs or does not. */
  readonly configFile: string;
  readonly env: NodeJS.ProcessEnv;
  readonly logTo: Writable;
}

export interface KnownNode extends NodeRow {
  /** It is that of this configuration. */
  readonly isOwn: boolean;
}

/** @throws HOOP_CONFIG, HOOP_LOCAL_STATE, HOOP_STORE_UNAVAILABLE */
export function listNodes(options: NodesOptions): Promise<readonly KnownNode[]> {
  return withNodes(options, async (nodes, own) =>
    (await nodes.list()).map((row) => ({ ...row, isOwn: row.id === own })),
  );
}

/** As often as a node that lives renews its lease, and somewhat more. */
const LOOKS_APART_MS = RENEW_EVERY_MS + 1000;

/**
 * Takes some seconds: where the clock of the store's server was set ahead, all leases seem to be over,
 * until each node that lives renews its own.
 * @throws HOOP_USAGE: there is no such node, it lives, or was taken over; as `listNodes`
 */
export function takeOverNode(node: string, options: NodesOptions): Promise<TakenOver> {
  return withNodes(options, async (nodes, own, opened) => {
    const seen = await nodes.find(node);
    if (seen?.state === 'live' && seen.leaseLeftMs <= 0) await delay(LOOKS_APART_MS);
    await using events = await eventsOf(own, (await nodes.find(own))?.term ?? 0, opened);
    const taken = await nodes.takeOver(node, own, endLeftBehind(events));
    if (taken === undefined) {
      throw new HoopError('HOOP_USAGE', `the store knows no node "${node}"`, {
        hint: '`hoop gateway nodes --config FILE` lists them.',
      });
    }
    if ('type' in taken) {
      createLog({ stream: options.logTo, json: true, level: 'info' }).warn('node.taken_over', {
        node,
        term: taken.term,
        by: own,
        sessions: taken.sessions,
        requests: taken.requests,
      });
      return taken;
    }
    if (taken.state === 'live') {
      throw new HoopError('HOOP_USAGE', `node ${node} is still running`, {
        detail: `Its lease ends in ${Math.ceil(taken.leaseLeftMs / 1000)} s unless it renews it.`,
        hint: 'Stop its gateway. If it was killed, try again when the lease has ended.',
      });
    }
    throw new HoopError('HOOP_USAGE', `node ${node} has already been taken over`);
  });
}

interface Opened {
  readonly config: GatewayConfig;
  readonly store: Store;
  readonly log: Log;
}

function eventsOf(id: string, term: number, { config, store, log }: Opened): Promise<AuditEvents> {
  const { name: gateway, events: keep } = config;
  return AuditEvents.open({ store, gateway, owner: { id, term }, keep, clock: Date.now, log });
}

async function withNodes<T>(
  { configFile, env, logTo }: NodesOptions,
  use: (nodes: NodeStore, own: string, opened: Opened) => Promise<T>,
): Promise<T> {
  const config = await readGatewayConfig(configFile);
  if (config.store.postgres === undefined) {
    throw new HoopError(
      'HOOP_CONFIG',
      'this gateway keeps its state in a file, so it is the only node',
      {
        detail: 'It recovers whatever it left behind when it starts again.',
      },
    );
  }
  const directory = await openDataDirectory(config);
  const log = createLog({ stream: logTo, json: true, level: 'warn' });
  await using store = await openStore({
    config: config.store,
    dataDir: directory.path,
    env,
    log,
  });
  // Awaited here: the store is closed behind it.
  return await use(new NodeStore(store), openNodeId(directory.path), { config, store, log });
}
