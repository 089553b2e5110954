/** The sessions of this gateway, and the room on its disk that they need. */
import { DiskRoom } from '../base/disk-room.ts';
import type { Connectors } from '../connectors.ts';
import { eventParty } from '../events/event-party.ts';
import type { Identity } from '../identity/identity.ts';
import type { SessionNonces } from '../sessions/session-nonces.ts';
import { Sessions } from '../sessions/sessions.ts';
import type { GatewayData, Opening } from './open-data.ts';
import type { OpenPolicy } from './open-policy.ts';

export function openSessions(
  { clock, log }: Opening,
  data: GatewayData,
  inForce: OpenPolicy,
  parts: {
    readonly connectors: Connectors;
    readonly nonces: SessionNonces;
    readonly room: DiskRoom;
    /** Comes after the sessions, which end with their logins. */
    readonly identity: () => Identity;
  },
): Sessions {
  const { identity } = parts;
  const sessions = new Sessions({
    ...inForce,
    ...parts,
    keys: () => data.keys.get(),
    lease: data.node,
    kept: data.kept,
    store: data.store,
    index: data.index,
    nodeId: data.node.owner.id,
    commands: data.commands,
    log,
    clock,
    requireLogin: (who) => identity().requireLive(who),
    endLogin: async (family, why, by) => {
      const end = { how: 'killed', by: eventParty(by) } as const;
      return (await identity().revoke({ id: family }, why, end)).length;
    },
    events: data.events,
    metrics: data.metrics,
    // A disputed session is signed at once, by the gateway alone.
    onEnded: data.signOverdue,
  });
  data.node.lost.addEventListener('abort', () => sessions.endForLostLease(), { once: true });
  return sessions;
}

export function openRoom(
  { config, log }: Opening,
  { directory }: GatewayData,
  { freePercent }: { readonly freePercent?: (directory: string) => number },
): DiskRoom {
  return new DiskRoom({
    directory: directory.path,
    minFreePercent: config.recording.minFreePercent,
    log,
    ...(freePercent === undefined ? {} : { freePercent }),
  });
}
