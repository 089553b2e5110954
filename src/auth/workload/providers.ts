import { github } from './github.ts';
import type { WorkloadProvider } from './workload-provider.ts';

/**
 * In the order in which they are looked for: what was handed to this process, then the CI system
 * whose job it is, then the platform that its machine belongs to (a CI job in a Kubernetes pod on
 * a cloud machine is the job first).
 */
export const WORKLOAD_PROVIDERS: readonly WorkloadProvider[] = [github];
