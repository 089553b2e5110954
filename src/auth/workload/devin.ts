/**
 * Devin: a session has a general token in a file, and its issuer exchanges that for a token with an
 * audience of our choice (RFC 8693), good for about a minute. The caller chooses which claims make
 * up `sub`, so a rule matches the claims themselves.
 * https://github.com/CognitionAI/actions (shared/devin-oidc-cli.ts, setup-devin-oidc)
 * https://www.rfc-editor.org/rfc/rfc8693#section-2.1
 */
import * as z from 'zod';
import { isLoopbackProviderUrl } from '../../policy/provider-url.ts';
import type { Probes } from './probes.ts';
import { parseJson, readClaims, requireTokenFor, textClaim } from './token-claims.ts';
import { absent, type WorkloadProvider, workloadTokenError } from './workload-provider.ts';

const DEFAULT_FILE = '/opt/.devin/oidc_token';
/** Devin's own default; what is asked for here makes up `sub` and nothing else. */
const SUBJECT_KEYS = 'org_id';
/** Of a session on a dedicated host: on its hypervisor, one hop away, and only over http. */
const SESSION_PROXY = 'http://git-manager.local:7000/oidc/token';

const Answer = z.object({ access_token: z.string().min(1) });

export const devin: WorkloadProvider = {
  name: 'devin',
  title: 'Devin',
  async detect({ env, probes }) {
    const named = env['DEVIN_OIDC_TOKEN_FILE'];
    const path = named || DEFAULT_FILE;
    if (!(await probes.exists(path))) {
      return absent(`there is no "${path}"`);
    }
    const exchangeUrl = env['DEVIN_OIDC_EXCHANGE_URL'] || undefined;
    return {
      state: 'found',
      because: `there is "${path}"`,
      // A machine of Devin's is one session's.
      scope: path,
      fetchToken: (audience, signal) => fetchToken(probes, { path, exchangeUrl, audience }, signal),
    };
  },
};

async function fetchToken(
  probes: Probes,
  request: {
    readonly path: string;
    readonly exchangeUrl: string | undefined;
    readonly audience: string;
  },
  signal: AbortSignal,
): Promise<string> {
  const general = (await probes.readToken(request.path))?.trim();
  const claims = general === undefined ? undefined : readClaims(general);
  if (general === undefined || claims === undefined) {
    throw workloadTokenError(devin, `there is no token in "${request.path}"`);
  }
  const url = request.exchangeUrl ?? `${textClaim(claims, 'iss') ?? ''}/api/oidc/token`;
  if (!isExchangeUrl(url)) {
    throw workloadTokenError(devin, 'the address of its token exchange does not use https', {
      hint: "Check DEVIN_OIDC_EXCHANGE_URL, or the issuer of the session's token.",
    });
  }
  const answer = await probes.http(
    url,
    {
      method: 'POST',
      headers: {
        accept: 'application/json',
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: general,
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        audience: request.audience,
        subject_keys: SUBJECT_KEYS,
      }).toString(),
    },
    signal,
  );
  const parsed = Answer.safeParse(parseJson(answer.text));
  if (answer.status !== 200 || !parsed.success) {
    throw workloadTokenError(devin, `its token exchange answers with status ${answer.status}`, {
      // Those organisations' requests must carry a mark that only the proxy can add.
      hint: /git ?proxy/i.test(answer.text)
        ? `This organisation exchanges through its proxy: set DEVIN_OIDC_EXCHANGE_URL=${SESSION_PROXY}.`
        : 'See whether `devin-oidc token --audience test > /dev/null` works here.',
    });
  }
  return requireTokenFor(devin, parsed.data.access_token, request.audience);
}

/**
 * The issuer in the file decides where the file's own token goes, so a forged file gives away
 * nothing but itself.
 */
function isExchangeUrl(text: string): boolean {
  return (
    URL.parse(text)?.protocol === 'https:' || isLoopbackProviderUrl(text) || text === SESSION_PROXY
  );
}
