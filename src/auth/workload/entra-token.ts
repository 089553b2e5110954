/**
 * The answer that the managed identity services of Azure have in common: an access token of Entra
 * for a "resource", which must be an application that the tenant knows.
 */
import * as z from 'zod';
import type { HttpAnswer } from './probes.ts';
import { parseJson, requireTokenFor } from './token-claims.ts';
import { type WorkloadProvider, workloadTokenError } from './workload-provider.ts';

const Answer = z.object({ access_token: z.string().min(1) });
/** Words of Entra, not free text: `invalid_resource`, `identity_not_found`. */
const ErrorAnswer = z.object({ error: z.string().regex(/^\w{1,60}$/) });

const RESOURCE_HINT =
  'Register an application in Entra whose Application ID URI is exactly that audience, and ' +
  'which asks for access tokens of version 1 (`requestedAccessTokenVersion` null or 1).';

/** @throws HoopError HOOP_WORKLOAD_TOKEN */
export function readEntraAnswer(
  provider: WorkloadProvider,
  answer: HttpAnswer,
  audience: string,
): string {
  const json = parseJson(answer.text);
  if (answer.status !== 200) {
    const word = ErrorAnswer.safeParse(json).data?.error;
    throw workloadTokenError(
      provider,
      `its identity service answers with status ${answer.status}${word === undefined ? '' : ` (${word})`}`,
      { hint: hintFor(answer.status, audience) },
    );
  }
  const parsed = Answer.safeParse(json);
  if (!parsed.success) {
    throw workloadTokenError(provider, 'its identity service returned no token');
  }
  return requireTokenFor(provider, parsed.data.access_token, audience, { hint: RESOURCE_HINT });
}

function hintFor(status: number, audience: string): string {
  if (status === 429 || status >= 500 || status === 410) {
    return 'Try again in a minute; Azure is throttling requests.';
  }
  return (
    `Assign a managed identity to it; if there are several, name one in AZURE_CLIENT_ID. ` +
    `The tenant must know "${audience}": ${RESOURCE_HINT.charAt(0).toLowerCase()}${RESOURCE_HINT.slice(1)}`
  );
}
