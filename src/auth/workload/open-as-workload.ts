/** The gateway for a workload: nobody has logged in here, so its keys may not be known yet. */
import { GatewayClient } from '../../client/gateway-client.ts';
import { HoopError } from '../../errors.ts';
import type { ClientConfig, Home } from '../../home.ts';
import type { OpenGateway } from '../open-gateway.ts';
import { checkAndPin, type GatewayPin, readTrust, rootKeyFingerprint } from '../trust.ts';
import type { ChosenWorkload } from './find-workload.ts';
import { workloadAudience } from './workload-audience.ts';
import { WorkloadTokens } from './workload-tokens.ts';

export interface WorkloadOpening {
  readonly home: Home;
  readonly config: ClientConfig;
  /** Base URL. */
  readonly gateway: string;
  /** PEM text. */
  readonly ca: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly note: ((text: string) => void) | undefined;
  readonly signal: AbortSignal;
}

/** @throws HoopError HOOP_GATEWAY_KEY, HOOP_UNREACHABLE */
export async function openAsWorkload(
  chosen: ChosenWorkload & { readonly isImplied: boolean },
  opening: WorkloadOpening,
): Promise<OpenGateway> {
  const { home, config, gateway, ca, env } = opening;
  const said = chosen.isImplied ? mentionLogin : <T>(asking: Promise<T>) => asking;
  const { workload } = chosen;
  const tokens = new WorkloadTokens({
    home,
    gateway,
    chosen: {
      ...chosen,
      workload: {
        ...workload,
        fetchToken: (audience, signal) => said(workload.fetchToken(audience, signal)),
      },
    },
    audience: workloadAudience(gateway, env),
    exchange: (token, key, signal) => said(client.exchangeWorkload(token, key, signal)),
    refresh: (handle, key, signal) => client.refresh(handle, key, signal),
    clock: Date.now,
  });
  const client = new GatewayClient({ baseUrl: gateway, ca, tokens });
  try {
    const pin = readTrust(home).get(gateway) ?? (await learnGateway(client, opening));
    return {
      client,
      home,
      config,
      gateway,
      pin,
      tokens: { store: { description: `${tokens.description} (${chosen.provider.title})` } },
      [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
    };
  } catch (error) {
    await client[Symbol.asyncDispose]();
    throw error;
  }
}

/** A fresh runner knows nothing: `HOOP_GATEWAY_KEY` is what a person would compare at `hoop login`. */
async function learnGateway(client: GatewayClient, opening: WorkloadOpening): Promise<GatewayPin> {
  const { home, gateway, env, note, signal } = opening;
  const info = await client.info(signal);
  const fingerprint = rootKeyFingerprint(info.rootKey);
  const expected = env['HOOP_GATEWAY_KEY'];
  if (expected && expected !== fingerprint) {
    throw new HoopError('HOOP_GATEWAY_KEY', 'the gateway has an unexpected root key', {
      detail: `HOOP_GATEWAY_KEY is ${expected}; the gateway presents ${fingerprint}.`,
      hint: 'Ask whoever runs the gateway before you change HOOP_GATEWAY_KEY.',
    });
  }
  if (!expected) {
    note?.(`gateway "${info.gateway}" has the root key ${fingerprint}, which was not known here`);
    note?.('set HOOP_GATEWAY_KEY to this fingerprint to have it checked');
  }
  return (await checkAndPin(home, gateway, info, { nowMs: Date.now(), signal })).pin;
}

/**
 * For a platform that was found and not asked for: on a cloud machine sits a person as well, who
 * meant to log in and should not be sent to look for the machine's identity.
 */
const HINT = 'A person logs in with `hoop login`.';

/** @throws HoopError what `asking` throws; about an identity also with how a person logs in */
async function mentionLogin<T>(asking: Promise<T>): Promise<T> {
  try {
    return await asking;
  } catch (error) {
    if (!(error instanceof HoopError) || !/^HOOP_(WORKLOAD|TOKEN)_/.test(error.code)) {
      throw error;
    }
    const { code, message, detail, hint } = error;
    throw new HoopError(code, message, {
      ...(detail === undefined ? {} : { detail }),
      hint: hint === undefined ? HINT : `${hint} ${HINT}`,
      cause: error,
    });
  }
}
