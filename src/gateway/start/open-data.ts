/** The first stage: what lies in the data directory, and the secrets that the configuration names. */
import { readFile } from 'node:fs/promises';
import { HoopError } from '../../errors.ts';
import { openRecordingStore } from '../../recording/write/recording-store.ts';
import type { GatewayConfig } from '../base/config.ts';
import { errorFields, type Log } from '../base/log.ts';
import type { GatewaySource } from '../connector.ts';
import { doesActs } from '../connectors.ts';
import { AuditEvents } from '../events/audit-events.ts';
import { CurrentKeys } from '../identity/tokens/current-keys.ts';
import { SessionIndex } from '../index/session-index.ts';
import { GatewayMetrics } from '../metrics/gateway-metrics.ts';
import { NodeChanges } from '../nodes/node-changes.ts';
import { NodeCommands } from '../nodes/node-commands.ts';
import { nodePlace, openNodeId } from '../nodes/node-id.ts';
import { NodeLease, type NodeLeaseOptions } from '../nodes/node-lease.ts';
import { LEASE_MS, NodeStore } from '../nodes/node-store.ts';
import { EndedRecordings } from '../sessions/ended-recordings.ts';
import type { Store } from '../store/store.ts';
import { StoreWatch } from '../store/store-watch.ts';
import { ConfigCredentialStore } from '../targets/credential-store.ts';
import { lockDataDirectory, openDataDirectory } from './data-directory.ts';
import { openGatewaySecrets } from './gateway-secrets.ts';
import { openStore, rememberDatabase } from './open-store.ts';

/** What every stage is given. */
export interface Opening {
  readonly config: GatewayConfig;
  readonly env: NodeJS.ProcessEnv;
  /** Wall clock, ms. */
  readonly clock: () => number;
  readonly log: Log;
  /** Of hoop. */
  readonly version: string;
  /** Closes what was opened in reverse order, also when a later step fails. */
  readonly opened: AsyncDisposableStack;
}

/** What a crash left is recovered. @throws HOOP_CONFIG */
export async function openData(
  { config, env, clock, log, version, opened }: Opening,
  sources: readonly GatewaySource[],
  injected?: Store,
) {
  const directory = await openDataDirectory(config);
  opened.use(lockDataDirectory(directory.path));
  const found: Store =
    injected ??
    opened.use(await openStore({ config: config.store, dataDir: directory.path, env, log }));
  const metrics = new GatewayMetrics();
  const kept = new StoreWatch(found, log, undefined, (seconds) => metrics.storeAnswered(seconds));
  const credentials = new ConfigCredentialStore({ credentials: config.credentials, env, log });
  await credentials.check();
  const allowedSigners = await readAllowedSigners(config.policy.allowedSignersFile);
  const keys = new CurrentKeys({ directory: directory.keys, gateway: config.name, clock, log });
  const secrets = openGatewaySecrets(directory.keys, {
    gatewayKey: keys.get().gatewayKey.privateKey,
    isNew: directory.isNew,
  });
  // Until its sessions have ended for want of the store it goes on without it.
  const leaseMs = LEASE_MS + config.store.endSessionsAfterSeconds * 1000;
  const nodes = new NodeStore(kept, leaseMs);
  const node = await openNode({ version, nodes, log }, directory.path);
  opened.use(node);
  if (!kept.isShared) await nodes.adopt(node.owner);
  // Before anything is read of which it tells.
  const changes = opened.use(await NodeChanges.open(kept, log));
  const commands = new NodeCommands(kept, node.owner.id, clock);
  const events = opened.use(
    await AuditEvents.open({
      ...{ store: kept, gateway: config.name, keep: config.events, clock, log },
      owner: node.owner,
      onWritten: (event) => metrics.event(event),
    }),
  );
  const index = new SessionIndex(
    kept,
    node.owner,
    clock,
    (error) => log.error('index.write_failed', errorFields(error)),
    doesActs(sources),
    events,
  );
  opened.defer(() => index.flush());
  const store = opened.use(await openRecordingStore(directory.path, directory.keys));
  const ended = new EndedRecordings({
    store,
    requireLease: () => node.require(),
    gatewayKey: () => keys.get().gatewayKey,
    index,
    uploadWithinSeconds: config.recording.uploadWithinSeconds,
    log,
    clock,
  });
  await ended.recover();
  const signOverdue = (): void => {
    ended
      .signOverdue()
      .catch((error: unknown) => log.error('session.sign_failed', errorFields(error)));
  };
  return {
    directory,
    metrics,
    kept,
    changes,
    commands,
    events,
    credentials,
    allowedSigners,
    keys,
    secrets,
    index,
    node,
    store,
    ended,
    signOverdue,
  };
}

/** Before anything that was left behind is looked at: from here on it is this process that it belongs to. */
async function openNode(
  options: Pick<NodeLeaseOptions, 'version' | 'nodes' | 'log'>,
  directory: string,
): Promise<NodeLease> {
  const id = openNodeId(directory);
  const { nodes } = options;
  const lease = await NodeLease.begin({ ...options, id, place: nodePlace(directory) });
  if (nodes.isShared) rememberDatabase(directory);
  return lease;
}

export type GatewayData = Awaited<ReturnType<typeof openData>>;

async function readAllowedSigners(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new HoopError('HOOP_CONFIG', `cannot read the allowed signers "${path}"`, {
      hint: 'It must be an OpenSSH allowed_signers file; see policy.allowedSigners in the configuration.',
      cause,
    });
  }
}
