/** For whom a platform's token has to be made out. */
import { WORKLOAD_AUDIENCE_PATH } from '../../policy/workloads/workload-rule.ts';

/** `HOOP_AUDIENCE` where an entry of the policy asks for another, as Azure may need. */
export function workloadAudience(
  gateway: string,
  env: Readonly<Record<string, string | undefined>>,
): string {
  return env['HOOP_AUDIENCE'] || `${gateway}${WORKLOAD_AUDIENCE_PATH}`;
}
