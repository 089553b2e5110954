/**
 * Puts the gateway together and takes it apart again. Order matters both ways: what a crash left
 * is recovered before the port opens, and when it stops the sessions end before their files close.
 */
import type { Server } from 'node:https';
import { type AddressInfo, isIPv6 } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { HoopError } from '../../errors.ts';
import { fingerprintOf } from '../../recording/keys/ed25519.ts';
import type { GatewayConfig } from '../base/config.ts';
import { errorFields, type Log } from '../base/log.ts';
import { endBlockedLogins } from '../blocks/end-blocked-logins.ts';
import type { GatewaySource } from '../connector.ts';
import { Connectors } from '../connectors.ts';
import { eventParty } from '../events/event-party.ts';
import { hostForChecks } from '../http/host-for-checks.ts';
import { listenHttps, readServerCertificate } from '../http/https-listener.ts';
import { inheritedSocket } from '../http/inherited-socket.ts';
import { CertificateWatch, hostsOf } from '../http/server-certificate.ts';
import { SqlIdentityStore } from '../identity/sql-identity-store.ts';
import { Upgrades } from '../routes/upgrades.ts';
import { SessionNonces } from '../sessions/session-nonces.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { Store } from '../store/store.ts';
import { Targets } from '../targets/targets.ts';
import { keepHouse } from './keep-house.ts';
import { openApi } from './open-api.ts';
import { type GatewayData, type Opening, openData } from './open-data.ts';
import { type OpenLogins, openLogins } from './open-logins.ts';
import { openMetrics } from './open-metrics.ts';
import { type OpenPolicy, openPolicy } from './open-policy.ts';
import { openRoom, openSessions } from './open-sessions.ts';
import { Readiness } from './readiness.ts';
import { type InUse, pairOf, reloadConfig } from './reload-config.ts';

export interface GatewayOptions {
  /** For each kind of target that there may be. */
  readonly connectors: readonly GatewaySource[];
  /** What the thread runs that searches their recordings: `serveSearches` with them. */
  readonly searchWorker: URL;
  readonly log: Log;
  readonly env: NodeJS.ProcessEnv;
  /** Gives up starting. A started gateway is stopped with `close()`. */
  readonly signal: AbortSignal;
  readonly version: string;
  /** Of tests: instead of what the configuration names. The caller closes it. */
  readonly store?: Store;
  readonly clock?: () => number;
  readonly headersTimeoutMs?: number;
  /** Of the disk that holds this directory; default: what the system says. */
  readonly freePercent?: (directory: string) => number;
}

export interface Gateway extends AsyncDisposable {
  readonly url: string;
  readonly name: string;
  /** `SHA256:` and base64 of the hash of the raw root key, for people to compare. */
  readonly rootKeyFingerprint: string;
  readonly firstStart: boolean;
  /** Takes over what may change while it runs. @throws HOOP_CONFIG: then all is as it was */
  reload(config: GatewayConfig): Promise<void>;
  /** Ends all sessions, closes everything. Idempotent, never rejects. */
  close(): Promise<void>;
}

export async function startGateway(
  config: GatewayConfig,
  options: GatewayOptions,
): Promise<Gateway> {
  const { log, env, signal } = options;
  const clock = options.clock ?? Date.now;
  const stopping = new AbortController();
  await using opened = new AsyncDisposableStack();
  const stop = () => stopping.abort(new HoopError('HOOP_SESSION_ENDED', 'the gateway stops'));
  opened.defer(stop);
  const { version } = options;
  const opening: Opening = { config, env, clock, log, version, opened };

  const data = await openData(opening, options.connectors, options.store);
  const inForce = await openPolicy(opening, data, options.connectors, signal);
  const { policy } = inForce;
  const room = openRoom(opening, data, options);
  const known = await openConnectors(opening, data, inForce, options.connectors);
  const nonces = new SessionNonces({
    signingKey: data.secrets.tokens,
    store: new SqlIdentityStore(data.kept, data.events),
    clock,
  });
  const sessions = openSessions(opening, data, inForce, {
    ...known,
    nonces,
    room,
    identity: () => logins.identity,
  });
  const readiness = new Readiness({
    hasRoom: () => room.hasRoom,
    isTakenOver: () => data.node.lost.aborted,
    hasPolicy: () => policy.current() !== undefined,
    checkWritable: () => data.kept.checkWritable(),
    log,
    clock,
  });
  let origins: readonly string[] = [];
  const logins: OpenLogins = await openLogins(opening, data, inForce, sessions, () => origins);
  const api = openApi(opening, data, inForce, {
    ...known,
    ...logins,
    sessions,
    nonces,
    readiness,
    version: options.version,
    searchWorker: options.searchWorker,
    signal: stopping.signal,
  });
  await openMetrics(opening, {
    ...{ data, inForce, sessions, room },
    unready: () => readiness.reasons(),
  });
  const upgrades = new Upgrades({
    identity: logins.identity,
    sessions,
    streamKinds: known.connectors.streamKinds(),
    log,
  });
  signal.throwIfAborted();
  const pair = await readServerCertificate(config.tls);
  const server = await listenHttps({
    listen: config.listen === 'systemd' ? { descriptor: inheritedSocket(env) } : config.listen,
    tls: config.tls,
    onRequest: hostForChecks(getRequestListener(api.fetch, { overrideGlobalObjects: false })),
    onUpgrade: (request, socket, head) => upgrades.handle(request, socket, head),
    ...(options.headersTimeoutMs === undefined
      ? {}
      : { headersTimeoutMs: options.headersTimeoutMs }),
  });
  const url = listeningUrl(config, server);
  data.node.url = config.publicUrl ?? url;
  origins = config.publicUrl === undefined ? [url] : [config.publicUrl, url];

  const polling = policy
    .run(stopping.signal)
    .catch((error: unknown) => log.error('policy.poll_failed', errorFields(error)));
  hearNodes(data, inForce, sessions, log);
  const certificate = new CertificateWatch(hostsOf(config), log);
  certificate.use(pair.cert.toString(), clock());
  const housekeeping = keepHouse({
    certificate,
    signOverdue: data.signOverdue,
    index: data.index,
    events: data.events,
    identityStore: logins.identityStore,
    approvals: inForce.approvals,
    blocks: inForce.blocks,
    endBlocked: async (block) => {
      sessions.endBlocked(block);
      inForce.reconsider();
      if (block.target !== undefined) return;
      const meant = await logins.identity.blockedPrincipals(block);
      await endBlockedLogins(logins.identity, block, meant, eventParty(block.by));
    },
    store: { watch: data.kept, ...config.store },
    sessions,
    room,
    log,
    clock,
  });

  // From here on in reverse: stop listening, end the sessions, cut off, wait for the policy poll.
  opened.defer(() => polling);
  opened.defer(() => {
    housekeeping[Symbol.dispose]();
    stop();
  });
  opened.defer(() => upgrades.close());
  opened.defer(() => closeServer(server, () => sessions.close()));
  await data.events.started(options.version);
  const resources = opened.move();
  const { id: node, term } = data.node.owner;
  log.info('gateway.started', { gateway: config.name, url, version, node, term });

  let inUse: InUse = { live: config, started: config, pair: pairOf(pair) };
  const reload = async (next: GatewayConfig): Promise<void> => {
    const { credentials } = data;
    const parts = { credentials, targets: known.targets, server, certificate, env, log, clock };
    inUse = await reloadConfig(parts, inUse, next);
    sessions.reconsider();
  };
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closed ??= resources.disposeAsync().then(
      () => log.info('gateway.stopped', { gateway: config.name }),
      (error: unknown) => log.error('gateway.stop_failed', errorFields(error)),
    );
    return closed;
  };
  return {
    url: origins[0] ?? url,
    name: config.name,
    rootKeyFingerprint: fingerprintOf(data.keys.get().root),
    firstStart: data.directory.isNew,
    reload,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The port is given back at once, so that another gateway may start; sessions then end. */
async function closeServer(server: Server, endSessions: () => Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  await endSessions();
  server.closeAllConnections();
  await promise;
}

function listeningUrl({ listen }: GatewayConfig, server: Server): string {
  const bound = server.address() as AddressInfo;
  const host = listen === 'systemd' ? bound.address : listen.host;
  return `https://${isIPv6(host) ? `[${host}]` : host}:${bound.port}`;
}

/**
 * What this gateway does when another node of its store has changed something. Acts upon what comes from
 * then on, and on what has come since the data was opened.
 */
function hearNodes(
  { changes, commands }: Pick<GatewayData, 'changes' | 'commands'>,
  { access, approvals, blocks, policyHead, reconsider }: OpenPolicy,
  sessions: Sessions,
  log: Log,
): void {
  changes.on('blocks', async () => {
    for (const block of await blocks.heard()) sessions.endBlocked(block);
    reconsider();
  });
  changes.on('grants', () => access.heard());
  changes.on('approvals', () => approvals.heard());
  changes.on('logins', () => sessions.loginsChanged());
  changes.on('commands', () => commands.take((command) => sessions.endAsked(command)));
  changes.on('policy', async () => {
    policyHead.moved();
    if (!(await policyHead.isNewest())) log.info('policy.behind');
  });
  changes.start();
}

const MIB = 1024 * 1024;

/** The targets, and for each kind of them what knows its protocol. */
async function openConnectors(
  { config, clock, log, opened }: Opening,
  { credentials, kept, directory, secrets }: GatewayData,
  { policy, followPolicy }: OpenPolicy,
  sources: readonly GatewaySource[],
) {
  const targets = new Targets(config);
  const connectors = opened.use(
    await Connectors.open(sources, {
      targets,
      credentials,
      maxMessageBytes: config.limits.messageMiB * MIB,
      policy,
      kept,
      dataDirectory: directory.path,
      key: secrets.mask,
      log,
      clock,
    }),
  );
  // Before the sessions hear of a commit: what they decide rests on it.
  followPolicy(({ policy }) => connectors.policyChanged(policy));
  return { targets, connectors };
}
