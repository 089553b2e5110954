/** `hoop whoami --explain`: what was looked for, what was found, what was sent, what came of it. */

import type { WhoamiReply } from '../api/login.ts';
import { HoopError } from '../errors.ts';
import { type ClientConfig, locateHome, readConfig } from '../home.ts';
import { claimText } from '../policy/workloads/claim-text.ts';
import { chooseIdentity } from './choose-identity.ts';
import { openGateway, requireGateway } from './open-gateway.ts';
import { findTokens } from './token-stores.ts';
import { findWorkload, openContext, type ProviderReport } from './workload/find-workload.ts';
import { readClaims } from './workload/token-claims.ts';
import { workloadAudience } from './workload/workload-audience.ts';

export interface IdentityExplanation {
  /** undefined: none is known. */
  readonly gateway: string | undefined;
  /** HOOP_IDENTITY. */
  readonly forced: string | undefined;
  readonly login: { readonly found: boolean; readonly where?: string };
  readonly platforms: readonly ProviderReport[];
  /** `login`, the name of a platform, or undefined: nothing could be used. */
  readonly used: string | undefined;
  /** What the platform's token is asked for; undefined without a platform. */
  readonly audience: string | undefined;
  /** What the token says, printable and bounded; never the token. */
  readonly claims: Readonly<Record<string, string>> | undefined;
  readonly whoami: WhoamiReply | undefined;
  readonly error: HoopError | undefined;
}

const NO_TOKENS = { found: undefined, problem: undefined };

interface ExplainIo {
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly note: (text: string) => void;
}

/** Where no gateway is known, what was looked for is told all the same. */
export async function explainIdentity(io: ExplainIo): Promise<IdentityExplanation> {
  const { env, signal } = io;
  const home = locateHome(env);
  const config = readConfig(home, env);
  const place = requireGatewayOr(config, env);
  const gateway = place instanceof HoopError ? undefined : place;
  const findLogin = async () =>
    gateway === undefined ? NO_TOKENS : findTokens(home, config, gateway);
  const { found } = await findLogin();
  const { reports } = await findWorkload(openContext(env, gateway), { all: true, signal });
  const facts = {
    gateway,
    forced: env['HOOP_IDENTITY'] || undefined,
    login: found === undefined ? { found: false } : { found: true, where: found.store.description },
    platforms: reports,
  };
  let used: string | undefined;
  let audience: string | undefined;
  let claims: Readonly<Record<string, string>> | undefined;
  try {
    const identity = await chooseIdentity({ env, gateway, findLogin, signal });
    if (identity.kind === 'workload') {
      used = identity.provider.name;
      if (gateway !== undefined) {
        audience = workloadAudience(gateway, env);
        claims = shownClaims(await identity.workload.fetchToken(audience, signal));
      }
    } else if (identity.searched.found !== undefined) {
      used = 'login';
    }
    if (place instanceof HoopError) {
      throw place;
    }
    await using open = await openGateway(io);
    const whoami = await open.client.whoami(signal);
    return { ...facts, used, audience, claims, whoami, error: undefined };
  } catch (error) {
    if (!(error instanceof HoopError) || signal.aborted) {
      throw error;
    }
    return { ...facts, used, audience, claims, whoami: undefined, error };
  }
}

function requireGatewayOr(config: ClientConfig, env: NodeJS.ProcessEnv): string | HoopError {
  try {
    return requireGateway(config, env);
  } catch (error) {
    if (error instanceof HoopError) {
      return error;
    }
    throw error;
  }
}

function shownClaims(token: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(readClaims(token) ?? {}).map(([name, value]) => [
      claimText(name),
      claimText(value),
    ]),
  );
}
