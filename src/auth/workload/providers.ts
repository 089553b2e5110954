import { aks } from './aks.ts';
import { aws } from './aws.ts';
import { azureAppService } from './azure-app-service.ts';
import { azureVm } from './azure-vm.ts';
import { buildkite } from './buildkite.ts';
import { circleci } from './circleci.ts';
import { devin } from './devin.ts';
import { gcp } from './gcp.ts';
import { github } from './github.ts';
import { gitlab } from './gitlab.ts';
import { givenToken, tokenFile } from './given-token.ts';
import { kubernetes } from './kubernetes.ts';
import { spiffe } from './spiffe.ts';
import type { WorkloadProvider } from './workload-provider.ts';

/**
 * In the order in which they are looked for: what was handed to this process, then the CI system
 * whose job it is, then the platform that its machine belongs to (a CI job in a Kubernetes pod on
 * a cloud machine is the job first).
 */
export const WORKLOAD_PROVIDERS: readonly WorkloadProvider[] = [
  givenToken,
  tokenFile,
  github,
  gitlab,
  circleci,
  buildkite,
  devin,
  spiffe,
  kubernetes,
  aks,
  azureAppService,
  aws,
  gcp,
  azureVm,
];
