/** The targets, and for each kind of them what knows its protocol. */
import type { GatewaySource } from '../connector.ts';
import { Connectors } from '../connectors.ts';
import { Targets } from '../targets/targets.ts';
import type { GatewayData, Opening } from './open-data.ts';
import type { OpenPolicy } from './open-policy.ts';

const MIB = 1024 * 1024;

export async function openConnectors(
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
