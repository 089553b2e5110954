/**
 * Puts the gateway together and takes it apart again. Order matters both ways: what a crash left
 * is recovered before the port opens, and when it stops the sessions end before their files close.
 */
import { readFile } from 'node:fs/promises';
import type { Server } from 'node:https';
import { isIPv6 } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { HoopError } from '../../errors.ts';
import { policyConnectors } from '../../policy/connector.ts';
import type { PolicyInForce } from '../../policy/repo.ts';
import { fingerprintOf } from '../../recording/ed25519.ts';
import { openRecordingStore } from '../../recording/recording-store.ts';
import { AccessGrants } from '../access/access-grants.ts';
import { AccessRequests } from '../access/access-requests.ts';
import { ApprovalStore } from '../approvals/approval-store.ts';
import { Approvals } from '../approvals/approvals.ts';
import { reconsiderStatements } from '../approvals/policy-standing.ts';
import { SealedJson } from '../approvals/sealed-json.ts';
import { SeenApprovers } from '../approvals/seen-approvers.ts';
import { readSeenApprovers, writeSeenApprovers } from '../approvals/seen-approvers-file.ts';
import type { GatewayConfig } from '../base/config.ts';
import { keptForWarnings } from '../base/data-file.ts';
import { DiskRoom } from '../base/disk-room.ts';
import { GatewayPolicy } from '../base/gateway-policy.ts';
import { errorFields, type Log } from '../base/log.ts';
import { Blocks } from '../blocks/blocks.ts';
import type { GatewaySource } from '../connector.ts';
import { Connectors } from '../connectors.ts';
import { createHttpApi } from '../http/http-api.ts';
import { listenHttps } from '../http/https-listener.ts';
import { infoReply } from '../http/info-reply.ts';
import { Upgrades } from '../http/upgrades.ts';
import { CurrentKeys } from '../identity/current-keys.ts';
import { GrouplessLogins } from '../identity/groupless-logins.ts';
import { Identity } from '../identity/identity.ts';
import { readRun } from '../identity/run-of-login.ts';
import { SqliteIdentityStore } from '../identity/sqlite-identity-store.ts';
import { IndexStore } from '../index/index-store.ts';
import { PolicyHistory } from '../index/policy-history.ts';
import { SessionIndex } from '../index/session-index.ts';
import { SessionSearch } from '../search/session-search.ts';
import { EndedRecordings } from '../sessions/ended-recordings.ts';
import { SessionNonces } from '../sessions/session-nonces.ts';
import { Sessions } from '../sessions/sessions.ts';
import { ConfigCredentialStore } from '../targets/credential-store.ts';
import { Targets } from '../targets/targets.ts';
import { openDataDirectory, openMaskKey } from './data-directory.ts';
import { Readiness } from './readiness.ts';
import { reloadConfig } from './reload-config.ts';

export interface GatewayOptions {
  /** For each kind of target that there may be. */
  readonly connectors: readonly GatewaySource[];
  readonly log: Log;
  readonly env: NodeJS.ProcessEnv;
  /** Gives up starting. A started gateway is stopped with `close()`. */
  readonly signal: AbortSignal;
  readonly version: string;
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

const HOUSEKEEPING_EVERY_MS = 60_000;
const SECOND_MS = 1000;
const MIB = 1024 * 1024;

export async function startGateway(
  config: GatewayConfig,
  options: GatewayOptions,
): Promise<Gateway> {
  const { log, env, signal, version } = options;
  const clock = options.clock ?? Date.now;
  const stopping = new AbortController();
  // Whatever was opened is closed again in reverse order, also when a later step fails.
  await using opened = new AsyncDisposableStack();
  opened.defer(() => stopping.abort(new HoopError('HOOP_SESSION_ENDED', 'the gateway stops')));

  const directory = await openDataDirectory(config.dataDir);
  // First, because it holds the lock on the directory.
  const database = opened.use(IndexStore.open(directory.index));
  const credentials = new ConfigCredentialStore({ credentials: config.credentials, env, log });
  await credentials.check();
  const allowedSigners = await readAllowedSigners(config.policy.allowedSignersFile);
  const keys = new CurrentKeys({ directory: directory.keys, gateway: config.name, clock, log });
  const maskKey = await openMaskKey(directory);
  const index = new SessionIndex(database, clock, (error) =>
    log.error('index.write_failed', errorFields(error)),
  );
  opened.defer(() => index.flush());
  const store = opened.use(await openRecordingStore(directory.path));
  const ended = new EndedRecordings({
    store,
    gatewayKey: () => keys.get().gatewayKey,
    index,
    uploadWithinSeconds: config.recording.uploadWithinSeconds,
    log,
    clock,
  });
  const signOverdue = (): void => {
    ended
      .signOverdue()
      .catch((error: unknown) => log.error('session.sign_failed', errorFields(error)));
  };
  await ended.recover();

  const access = opened.use(new AccessGrants({ store: database, clock, log }));
  const blocks = new Blocks({
    store: database,
    agents: () => new Set(policy.current()?.policy.agents.keys()),
    clock,
    log,
  });
  const policy = await GatewayPolicy.open(
    {
      directory: directory.policy,
      repository: config.policy.repository,
      branch: config.policy.branch,
      allowedSigners,
      pollSeconds: config.policy.pollSeconds,
      env,
      connectors: await policyConnectors(options.connectors),
      temporary: (principal, target) => access.active(principal, target),
      isBlocked: (principal, target) => blocks.find(principal, target) !== undefined,
      log,
    },
    signal,
  );
  const first = policy.current();
  /** Of the commit that is in force now, and of each that comes. */
  const followPolicy = (follow: (inForce: PolicyInForce) => void): void => {
    policy.onChange(follow);
    if (first !== undefined) {
      follow(first);
    }
  };
  // Before the sessions hear of a commit: what it no longer gives has ended by then.
  followPolicy(({ policy }) => access.policyChanged(policy));
  const approvals = opened.use(
    new Approvals({
      store: new ApprovalStore(database, new SealedJson(maskKey)),
      isAgent: (someone) => policy.isAgent(someone),
      isBlocked: (someone, target) => blocks.find(someone, target) !== undefined,
      log,
      clock,
    }),
  );
  // What was asked for counts: the binding has the terms, and is compared when it is used.
  approvals.handle('statement', { needs: ({ needs }) => needs });
  approvals.handle('command', { needs: ({ needs }) => needs });
  followPolicy(() => reconsiderStatements(approvals, policy));
  const accessRequests = new AccessRequests({ policy, access, approvals, clock });
  const history = new PolicyHistory(database, clock);
  followPolicy((next) => history.inForce(next));
  const room = new DiskRoom({
    directory: directory.path,
    minFreePercent: config.recording.minFreePercent,
    log,
    ...(options.freePercent === undefined ? {} : { freePercent: options.freePercent }),
  });
  const readiness = new Readiness({
    hasRoom: () => room.hasRoom,
    hasPolicy: () => policy.current() !== undefined,
    checkWritable: () => database.checkWritable(),
    log,
    clock,
  });
  const targets = new Targets(config);
  const connectors = opened.use(
    await Connectors.open(options.connectors, {
      targets,
      credentials,
      maxMessageBytes: config.limits.messageMiB * MIB,
      policy,
      approvals,
      database,
      dataDirectory: directory.path,
      key: maskKey,
      log,
      clock,
    }),
  );
  // Before the sessions hear of a commit: what they decide rests on it.
  followPolicy(({ policy }) => connectors.policyChanged(policy));
  const nonces = new SessionNonces(clock);
  const sessions = new Sessions({
    policy,
    access,
    blocks,
    keys: () => keys.get(),
    store,
    index,
    nonces,
    connectors,
    room,
    log,
    clock,
    requireLogin: (who) => identity.requireLive(who),
    endLogin: async (family, why) => (await identity.revoke({ id: family }, why)).length,
    // A disputed session is signed at once, by the gateway alone.
    onEnded: () => signOverdue(),
  });
  const identityStore = new SqliteIdentityStore(database);
  let origins: readonly string[] = [];
  const identity = new Identity({
    origins: () => origins,
    providers: () => policy.identityProviders(),
    workloads: () => policy.workloads(),
    roles: () => policy.roles(),
    withOwnAgent: (principal) => policy.withOwnAgent(principal),
    onRefused: (error, login) => log.warn('login.refused', { ...errorFields(error), ...login }),
    onLoggedIn: (principal, made) => {
      seenApprovers.loggedIn(principal);
      if (made !== undefined && principal.kind === 'person') {
        groupless.loggedIn(principal.issuer, made.missingGroups);
      }
    },
    onLoggedOut: (who, logins) => log.info('login.ended_by_provider', { ...who, logins }),
    onLogoutRefused: (error, login) =>
      log.warn('logout.refused', { ...errorFields(error), ...login }),
    requireUnblocked: (principal) => blocks.require(principal),
    // That of the start: a new one ends all logins.
    signingKey: keys.get().gatewayKey.privateKey,
    store: identityStore,
    clock,
  });
  const groupless = new GrouplessLogins(directory.path, log);
  const seenApprovers = new SeenApprovers({
    seen: keptForWarnings(() => readSeenApprovers(directory.seenApprovers), [], log),
    write: (groups) => writeSeenApprovers(directory.seenApprovers, groups),
    loggedIn: () => identity.principals(),
    log,
  });
  policy.onChange(({ policy }) => void seenApprovers.policyChanged(policy));
  if (first !== undefined) {
    await seenApprovers.policyChanged(first.policy);
  }
  identity.onRevoked((family, why) => sessions.revokeLogin(family, why));
  identity.onRevoked((family) => void endRequestsOfRun(family));
  identity.onConfirmed((family) => sessions.loginConfirmed(family));

  /** Nobody can send again what a run has asked for when its login has ended. */
  const endRequestsOfRun = async (family: string): Promise<void> => {
    try {
      const login = await identityStore.readFamily(family);
      const run = login && readRun(login);
      if (run !== undefined) approvals.endOfRun(run.id, 'the run has ended');
    } catch (error) {
      log.error('approval.end_failed', errorFields(error));
    }
  };

  const search = opened.use(new SessionSearch({ database, index, store }));
  const api = createHttpApi({
    identity,
    policy,
    maskAlerts: (who) => {
      const alerts = connectors.alerts();
      const seen = new Set(
        alerts.length === 0 ? [] : policy.granted(who).map(({ target }) => target.name),
      );
      return alerts.filter(({ target }) => seen.has(target) || who.roles.length > 0);
    },
    approverGroups: () => seenApprovers.groups(),
    sessions,
    index,
    ended,
    search,
    nonces,
    approvals,
    accessRequests,
    blocks,
    onBlocked: () => reconsiderStatements(approvals, policy),
    info: () =>
      infoReply({
        config,
        keys: keys.get(),
        policy,
        allowedSigners,
        version,
        loginNonce: identity.loginNonce(),
      }),
    unready: () => readiness.reasons(),
    history,
    log,
    signal: stopping.signal,
  });
  const upgrades = new Upgrades({
    identity,
    sessions,
    streamKinds: connectors.streamKinds(),
    log,
  });
  signal.throwIfAborted();
  const server = await listenHttps({
    listen: config.listen,
    tls: config.tls,
    onRequest: getRequestListener(api.fetch, { overrideGlobalObjects: false }),
    onUpgrade: (request, socket, head) => upgrades.handle(request, socket, head),
    ...(options.headersTimeoutMs === undefined
      ? {}
      : { headersTimeoutMs: options.headersTimeoutMs }),
  });
  const url = listeningUrl(config, server);
  origins = config.publicUrl === undefined ? [url] : [config.publicUrl, url];

  const polling = policy
    .run(stopping.signal)
    .catch((error: unknown) => log.error('policy.poll_failed', errorFields(error)));
  const housekeeping = setInterval(() => {
    signOverdue();
    index.tryFlush();
    approvals.prune();
    identityStore
      .prune(clock())
      .catch((error: unknown) => log.error('housekeeping.failed', errorFields(error)));
  }, HOUSEKEEPING_EVERY_MS);

  const eachSecond = setInterval(() => {
    sessions.checkLogins();
    if (sessions.size > 0 && room.isNearlyFull) {
      log.error('disk.nearly_full', { sessions: sessions.size });
      sessions.endForWantOfRoom();
    }
  }, SECOND_MS);

  // From here on in reverse: stop listening, end the sessions, cut off, wait for the policy poll.
  opened.defer(() => polling);
  opened.defer(() => {
    clearInterval(housekeeping);
    clearInterval(eachSecond);
    stopping.abort(new HoopError('HOOP_SESSION_ENDED', 'the gateway stops'));
  });
  opened.defer(() => upgrades.close());
  opened.defer(() => closeServer(server, () => sessions.close()));
  const resources = opened.move();
  log.info('gateway.started', { gateway: config.name, url, version });

  let inUse = config;
  const reload = async (next: GatewayConfig): Promise<void> => {
    await reloadConfig({ credentials, targets, server, env, log }, inUse, next);
    inUse = next;
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
    rootKeyFingerprint: fingerprintOf(keys.get().root),
    firstStart: directory.isNew,
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
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : listen.port;
  return `https://${isIPv6(listen.host) ? `[${listen.host}]` : listen.host}:${port}`;
}

async function readAllowedSigners(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new HoopError('HOOP_CONFIG', `cannot read the allowed signers "${path}"`, {
      hint: 'It is an OpenSSH allowed_signers file; see policy.allowedSigners in the configuration.',
      cause,
    });
  }
}
