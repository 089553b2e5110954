/**
 * Azure Kubernetes Service with workload identity: its webhook gives the pod a token that only
 * Entra takes (audience `api://AzureADTokenExchange`). It is not sent to the gateway, which would
 * be able to act as the pod in Azure; a second projected token is what serves here.
 * https://learn.microsoft.com/en-us/azure/aks/workload-identity-overview
 */
import { absent, type WorkloadProvider } from './workload-provider.ts';

export const aks: WorkloadProvider = {
  name: 'aks',
  title: 'AKS workload identity',
  async detect({ env }) {
    if (!env['AZURE_FEDERATED_TOKEN_FILE']) {
      return absent('AZURE_FEDERATED_TOKEN_FILE is not set');
    }
    return {
      state: 'unusable',
      because: 'the token in AZURE_FEDERATED_TOKEN_FILE is for Entra (api://AzureADTokenExchange)',
      hint:
        'Project a second token into the pod, as for any Kubernetes cluster: a serviceAccountToken ' +
        'with the audience <gateway URL>/workload, mounted at /var/run/secrets/hoop.',
    };
  },
};
