/** Whether the masked columns of the policy are there, and what those are called now that are not. */
import { Writable } from 'node:stream';
import { SqlParser } from '../../connectors/postgres/policy/parser.ts';
import { HoopError } from '../../errors.ts';
import { type MaskAlert, maskAlertText } from '../../policy/mask-alert.ts';
import { maskedOn } from '../../policy/masked-columns.ts';
import type { Policy } from '../../policy/policy.ts';
import type { CheckResult } from '../base/check-result.ts';
import { createLog } from '../base/log.ts';
import { TargetCatalogs } from '../targets/target-catalogs.ts';
import type { Targets } from '../targets/targets.ts';
import { MaskBindings } from './mask-bindings.ts';
import { maskBindingsPath, readMaskBindings } from './mask-bindings-file.ts';
import { someGroups, targetsWithMasks } from './mask-watch.ts';

/**
 * Reads what a gateway with this data directory has kept; binds nothing. Of targets that cannot be
 * reached there is nothing to say: their own check does.
 * @throws HOOP_LOCAL_STATE when what was kept cannot be read
 */
export async function findMaskAlerts(options: {
  readonly policy: Policy;
  readonly targets: Pick<Targets, 'postgres'>;
  readonly dataDirectory: string;
}): Promise<readonly MaskAlert[]> {
  const { policy, targets, dataDirectory } = options;
  const masked = targetsWithMasks(policy);
  if (masked.length === 0) {
    return [];
  }
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const bindings = new MaskBindings({
    bindings: readMaskBindings(maskBindingsPath(dataDirectory)),
    write: () => undefined,
    masked: (target) => maskedOn(policy, target),
    // What a gateway would log is in the result.
    log: createLog({ stream: nowhere, json: true }),
  });
  await using parser = SqlParser.create();
  await using catalogs = new TargetCatalogs(parser, (target) => bindings.of(target));
  for (const target of masked) {
    try {
      const resolved = await targets.postgres(target, { groups: someGroups(target) });
      await catalogs.source(resolved).current();
    } catch (error) {
      if (!(error instanceof HoopError)) throw error;
    }
  }
  return bindings.alerts();
}

export function withMaskAlerts(result: CheckResult, alerts: readonly MaskAlert[]): CheckResult {
  if (alerts.length === 0 || !result.ok) {
    return result;
  }
  return {
    ...result,
    warning: true,
    text: [result.text, ...alerts.map(maskAlertText)].join('\n'),
    hint: 'Correct the names in the policy. What a mask was bound to stays masked; a name that was never found masks nothing.',
  };
}
