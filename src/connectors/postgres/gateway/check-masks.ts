/** Whether the masked columns of the policy are there, and what those are called now that are not. */
import { Writable } from 'node:stream';
import { HoopError } from '../../../errors.ts';
import { createLog } from '../../../gateway/base/log.ts';
import type { CheckServices } from '../../../gateway/connector.ts';
import type { MaskAlert } from '../../../policy/mask-alert.ts';
import { maskedOn } from '../../../policy/masked-columns.ts';
import type { Policy } from '../../../policy/policy.ts';
import { SqlParser } from '../policy/parser.ts';
import { MaskBindings } from './mask-bindings.ts';
import { maskBindingsPath, readMaskBindings } from './mask-bindings-file.ts';
import { someGroups, targetsWithMasks } from './mask-watch.ts';
import { resolvePostgresTarget } from './resolve-target.ts';
import { TargetCatalogs } from './target-catalogs.ts';

/**
 * Reads what a gateway with this data directory has kept; binds nothing. Of targets that cannot be
 * reached there is nothing to say: their own check does.
 * @throws HOOP_LOCAL_STATE when what was kept cannot be read
 */
export async function findMaskAlerts(
  services: CheckServices,
  policy: Policy,
): Promise<readonly MaskAlert[]> {
  const masked = targetsWithMasks(policy);
  if (masked.length === 0) {
    return [];
  }
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const bindings = new MaskBindings({
    bindings: readMaskBindings(maskBindingsPath(services.dataDirectory)),
    write: () => undefined,
    masked: (target) => maskedOn(policy, target),
    // What a gateway would log is in the result.
    log: createLog({ stream: nowhere, json: true }),
  });
  await using parser = SqlParser.create();
  await using catalogs = new TargetCatalogs(parser, (target) => bindings.of(target));
  for (const target of masked) {
    try {
      const resolved = await resolvePostgresTarget(services, target, {
        groups: someGroups(target),
      });
      await catalogs.source(resolved).current();
    } catch (error) {
      if (!(error instanceof HoopError)) throw error;
    }
  }
  return bindings.alerts();
}
