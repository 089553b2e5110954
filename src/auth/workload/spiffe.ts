/**
 * SPIFFE: an agent on the host knows its workloads by what the kernel says of them, and gives each
 * a token (JWT-SVID) for the audience it asks for. SPIRE is the best known one.
 * https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Workload_API.md#6-jwt-svid-profile
 */
import {
  fetchJwtSvids,
  parseSpiffeAddress,
  type SpiffeAddress,
  SpiffeCallError,
} from './spiffe-call.ts';
import { readClaims, requireTokenFor, textClaim } from './token-claims.ts';
import { absent, type WorkloadProvider, workloadTokenError } from './workload-provider.ts';

const SOCKET_HINT =
  'SPIFFE_ENDPOINT_SOCKET must be like unix:///run/spire/agent.sock, or tcp:// with an address of this host.';

/** What the agent's statuses mean: SPIFFE_Workload_Endpoint.md, appendix A. */
const STATUS_HINTS: Readonly<Record<number, string>> = {
  3: 'The agent does not accept the request; check that it serves the SPIFFE Workload API.',
  7: 'No registration entry of the agent matches this process (yet): try again in a minute.',
  12: 'The agent issues no JWT-SVIDs; turn them on there.',
  14: 'The agent is still starting or cannot reach its server: try again in a minute.',
};

export const spiffe: WorkloadProvider = {
  name: 'spiffe',
  title: 'SPIFFE',
  async detect({ env }) {
    const socket = env['SPIFFE_ENDPOINT_SOCKET'];
    if (!socket) {
      return absent('SPIFFE_ENDPOINT_SOCKET is not set');
    }
    const address = parseSpiffeAddress(socket);
    if (address === undefined) {
      return {
        state: 'unusable',
        because: 'SPIFFE_ENDPOINT_SOCKET is not an address of a socket on this host',
        hint: SOCKET_HINT,
      };
    }
    // Ours: for a workload that has several identities.
    const spiffeId = env['HOOP_SPIFFE_ID'] || undefined;
    return {
      state: 'found',
      because: 'SPIFFE_ENDPOINT_SOCKET is set',
      scope: `${socket} ${spiffeId ?? ''}`,
      fetchToken: (audience, signal) => fetchToken({ address, spiffeId, audience }, signal),
    };
  },
};

async function fetchToken(
  request: {
    readonly address: SpiffeAddress;
    readonly spiffeId: string | undefined;
    readonly audience: string;
  },
  signal: AbortSignal,
): Promise<string> {
  try {
    const svids = await fetchJwtSvids(request.address, request, signal);
    // The first is the default identity (SPIFFE_Workload_API.md §8).
    const chosen =
      request.spiffeId === undefined
        ? svids[0]
        : svids.find(({ spiffeId }) => spiffeId === request.spiffeId);
    if (chosen === undefined) {
      throw workloadTokenError(spiffe, 'the agent does not return the identity in HOOP_SPIFFE_ID');
    }
    const token = requireTokenFor(spiffe, chosen.token, request.audience);
    if (textClaim(readClaims(token) ?? {}, 'sub') !== chosen.spiffeId) {
      throw workloadTokenError(spiffe, 'the token names a different identity than the agent does');
    }
    return token;
  } catch (cause) {
    if (!(cause instanceof SpiffeCallError)) {
      throw cause;
    }
    throw workloadTokenError(spiffe, `the agent failed: ${cause.message}`, {
      hint: cause.status === undefined ? SOCKET_HINT : STATUS_HINTS[cause.status],
      cause,
    });
  }
}
