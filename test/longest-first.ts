import type { TestSpecification } from 'vitest/node';
import { BaseSequencer } from 'vitest/node';

/**
 * The files that take longest begin first, the longest in front: one of them that began last would
 * run alone while the other workers have nothing left to do. Vitest knows how long a file took only
 * where it has run before, which no fresh checkout has. These are the files of 14 processor seconds
 * and more, as CONTRIBUTING.md measures them.
 */
const LONGEST: readonly string[] = [
  'e2e/demo-forms',
  'e2e/memory',
  'e2e/demo',
  'e2e/ssh',
  'e2e/ssh-acceptance',
  'e2e/fence',
  'e2e/run-agents',
  'e2e/workload',
  'e2e/run-programs',
  'e2e/events',
  'e2e/protocol-differential',
  'e2e/evidence',
  'e2e/access',
  'e2e/runs',
  'run/later/out-of-sight',
  'gateway/sessions/live-session',
  'connectors/postgres/policy/work-budget',
  'e2e/run-agent',
  'e2e/mcp',
  'e2e/run',
  'e2e/ends',
  'e2e/approvals',
  'e2e/doctor',
  'connectors/ssh/gateway/stream-life',
  'e2e/psql',
  'e2e/run-child',
  'e2e/run-terminal',
  'recording/crash',
  'cli/non-interactive',
  'auth/refresh-race',
  'e2e/ssh-programs',
  'e2e/run-changes',
  'gateway/start/gateway-life',
  'connectors/postgres/gateway/catalog-changes',
  'e2e/prompts',
  'recording/repair',
  'e2e/connect-command',
  'gateway/runs/runs',
  'e2e/power-cut',
  'connectors/ssh/gateway/current-target',
  'auth/device-login',
  'auth/login-in-browser',
];

/** From the end of the list to its beginning; any other file is none of them. */
function rankOf({ moduleId }: TestSpecification): number {
  const place = LONGEST.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
  return place < 0 ? 0 : LONGEST.length - place;
}

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((one, other) => rankOf(other) - rankOf(one));
  }
}
