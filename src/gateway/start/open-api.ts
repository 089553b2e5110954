/** What the gateway answers over HTTP. */
import type { DiskRoom } from '../base/disk-room.ts';
import type { Connectors } from '../connectors.ts';
import { createHttpApi } from '../http/http-api.ts';
import { infoReply } from '../http/info-reply.ts';
import { SessionSearch } from '../search/session-search.ts';
import type { SessionNonces } from '../sessions/session-nonces.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { GatewayData, Opening } from './open-data.ts';
import type { OpenLogins } from './open-logins.ts';
import type { OpenPolicy } from './open-policy.ts';
import { Readiness } from './readiness.ts';

export function openApi(
  { config, clock, log, opened }: Opening,
  data: GatewayData,
  inForce: OpenPolicy,
  parts: OpenLogins & {
    readonly connectors: Connectors;
    readonly sessions: Sessions;
    readonly nonces: SessionNonces;
    readonly room: DiskRoom;
    readonly version: string;
    readonly searchWorker: URL;
    /** Aborted when the gateway stops. */
    readonly signal: AbortSignal;
  },
): ReturnType<typeof createHttpApi> {
  const { policy } = inForce;
  const { identity, sessions, nonces, room, connectors, seenApprovers, version, signal } = parts;
  const { searchWorker } = parts;
  const readiness = new Readiness({
    hasRoom: () => room.hasRoom,
    isTakenOver: () => data.node.lost.aborted,
    hasPolicy: () => policy.current() !== undefined,
    checkWritable: () => data.kept.checkWritable(),
    log,
    clock,
  });
  return createHttpApi({
    ...inForce,
    identity,
    sessions,
    connectors,
    index: data.index,
    events: data.events,
    ended: data.ended,
    nonces,
    search: opened.use(new SessionSearch({ ...data, searchWorker })),
    maskAlerts: (who) => {
      const alerts = connectors.alerts();
      const seen = new Set(
        alerts.length === 0 ? [] : policy.granted(who).map(({ target }) => target.name),
      );
      return alerts.filter(({ target }) => seen.has(target) || who.roles.length > 0);
    },
    approverGroups: () => seenApprovers.groups(),
    onBlocked: inForce.reconsider,
    info: () =>
      infoReply({
        config,
        keys: data.keys.get(),
        policy,
        allowedSigners: data.allowedSigners,
        version,
        loginNonce: identity.loginNonce(),
      }),
    unready: () => readiness.reasons(),
    log,
    signal,
  });
}
