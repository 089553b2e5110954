import { problemLine } from '../../../src/policy/load-policy.ts';
import type { WorkloadRule } from '../../../src/policy/workloads/workload-rule.ts';
import { MINIMAL } from '../../policy/git-fixture.ts';
import { loadPolicy } from '../../policy/with-connectors.ts';

/** Entries of `workloads:` as a policy has them. JSON is YAML, too. */
export function workloadRulesOf(...entries: readonly object[]): readonly WorkloadRule[] {
  const hoop = `${MINIMAL['hoop.yaml']}workloads: ${JSON.stringify(entries)}\n`;
  const { policy, problems } = loadPolicy(
    new Map(Object.entries({ ...MINIMAL, 'hoop.yaml': hoop })),
  );
  if (policy === undefined) {
    throw new Error(problems.map(problemLine).join('\n'));
  }
  return policy.workloads;
}
