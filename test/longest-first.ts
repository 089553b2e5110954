import type { TestSpecification } from 'vitest/node';
import { BaseSequencer } from 'vitest/node';

/**
 * The files that take longest begin first, the longest in front: one of them that began last would
 * run alone while the other workers have nothing left to do. Vitest knows how long a file took only
 * where it has run before, which no fresh checkout has. These are the files of 14 processor seconds
 * and more, as CONTRIBUTING.md measures them, and those that wait for most of a minute or longer
 * (`evidence`, `two-gateways`, `store-away`). Of the others those in shared workers come last.
 */
const LONGEST: readonly string[] = [
  'e2e/demo-forms',
  'e2e/memory',
  'e2e/fence',
  'e2e/ssh',
  'e2e/run-agents',
  'e2e/ssh-programs',
  'e2e/ssh-acceptance',
  'e2e/evidence',
  'e2e/run-programs',
  'e2e/kept-words',
  'e2e/workload',
  'e2e/events',
  'e2e/protocol-differential',
  'e2e/access',
  'gateway/sessions/live-session',
  'e2e/run-agent',
  'e2e/mcp',
  'e2e/run',
  'recording/crash',
  'cli/non-interactive',
  'auth/refresh-race',
  'gateway/start/gateway-life',
  'gateway/nodes/two-gateways',
  'gateway/start/store-away',
  'connectors/postgres/gateway/catalog-changes',
  'recording/repair',
  'gateway/runs/runs',
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
