/**
 * GitHub Actions: a job with `permissions: id-token: write` may ask for tokens of any audience.
 * https://docs.github.com/en/actions/reference/security/oidc
 */
import * as z from 'zod';
import { isSafeProviderUrl } from '../../policy/provider-url.ts';
import type { Probes } from './probes.ts';
import { absent, type WorkloadProvider, workloadTokenError } from './workload-provider.ts';

const PERMISSION_HINT =
  'Give the job `permissions: { id-token: write, contents: read }` in its workflow.';

const TokenAnswer = z.object({ value: z.string().min(1) });

export const github: WorkloadProvider = {
  name: 'github',
  title: 'GitHub Actions',
  async detect({ env, probes }) {
    if (env['GITHUB_ACTIONS'] !== 'true') {
      return absent('GITHUB_ACTIONS is not "true"');
    }
    const url = env['ACTIONS_ID_TOKEN_REQUEST_URL'];
    const requestToken = env['ACTIONS_ID_TOKEN_REQUEST_TOKEN'];
    if (!url || !requestToken) {
      return {
        state: 'unusable',
        because: 'the job may not request ID tokens (ACTIONS_ID_TOKEN_REQUEST_URL is not set)',
        // GitHub sets neither for pull requests from forks, whatever the workflow says.
        hint: `${PERMISSION_HINT} Jobs for pull requests from forks never get that permission.`,
      };
    }
    return {
      state: 'found',
      because: 'GITHUB_ACTIONS and ACTIONS_ID_TOKEN_REQUEST_URL are set',
      scope: requestToken,
      fetchToken: (audience, signal) => fetchToken(probes, { url, requestToken, audience }, signal),
    };
  },
};

async function fetchToken(
  probes: Probes,
  request: { readonly url: string; readonly requestToken: string; readonly audience: string },
  signal: AbortSignal,
): Promise<string> {
  const url = URL.parse(request.url);
  if (url === null || !isSafeProviderUrl(request.url)) {
    throw workloadTokenError(github, 'ACTIONS_ID_TOKEN_REQUEST_URL is not an https address');
  }
  url.searchParams.set('audience', request.audience);
  const answer = await probes.http(
    url.href,
    {
      headers: {
        accept: 'application/json; api-version=2.0',
        authorization: `Bearer ${request.requestToken}`,
      },
    },
    signal,
  );
  if (answer.status !== 200) {
    throw workloadTokenError(github, `its token service answers with status ${answer.status}`, {
      hint: PERMISSION_HINT,
    });
  }
  const parsed = TokenAnswer.safeParse(parseJson(answer.text));
  if (!parsed.success) {
    throw workloadTokenError(github, 'its token service returned no token');
  }
  return parsed.data.value;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What is no JSON is no token either: the caller says so.
    return undefined;
  }
}
