/**
 * The protocols that hoop speaks. Handed down from the top: the core defines what it needs of a
 * connector (gateway/connector.ts, policy/connector.ts, tunnel/connector.ts, replay/connector.ts) and
 * imports none. Each part is loaded on its own, so that a client never loads gateway code.
 */
import type { GatewayConnector } from '../gateway/connector.ts';
import type { PolicyConnector } from '../policy/connector.ts';
import type { ReplayEntry } from '../replay/connector.ts';
import type { ClientEntry } from '../tunnel/connector.ts';

export interface Entry extends ClientEntry, ReplayEntry {
  /** As `kind` of targets/*.yaml has it. */
  readonly kind: string;
  /** What is done on such a target, and counted: statements of SQL, or acts of several kinds. */
  readonly does: 'statements' | 'acts';
  /** Kinds of the streams that a session on such a target has; the first carries the protocol itself. */
  readonly streamKinds: readonly string[];
  policy(): Promise<PolicyConnector>;
  gateway(): Promise<GatewayConnector>;
}

export const CONNECTORS: readonly Entry[] = [
  {
    kind: 'postgres',
    does: 'statements',
    streamKinds: ['postgres', 'cancel'],
    policy: async () => (await import('./postgres/policy/connector.ts')).postgresPolicy,
    gateway: async () => (await import('./postgres/gateway/connector.ts')).postgresGateway,
    client: async () => (await import('./postgres/client/connector.ts')).postgresClient,
    replay: async () => (await import('./postgres/replay/connector.ts')).postgresReplay,
  },
  {
    kind: 'ssh',
    does: 'acts',
    streamKinds: ['ssh'],
    policy: async () => (await import('./ssh/policy/connector.ts')).sshPolicy,
    gateway: async () => (await import('./ssh/gateway/connector.ts')).sshGateway,
    client: async () => (await import('./ssh/client/connector.ts')).sshClient,
    replay: async () => (await import('./ssh/replay/connector.ts')).sshReplay,
  },
];
