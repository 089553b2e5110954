/**
 * For `hoop gateway check`: whether the identity provider would give the browser's client a device
 * code. Then whoever talks somebody into entering one gets a login with all roles, and the gateway
 * could not tell (docs/login.md).
 */
import * as z from 'zod';
import { HoopError } from '../../errors.ts';
import { isSafeProviderUrl } from '../../policy/provider-url.ts';
import type { IdentityProvider } from './identity-provider.ts';

const Discovery = z.object({
  issuer: z.string(),
  device_authorization_endpoint: z.string().optional(),
});

/** @returns what was found, in words. @throws HoopError HOOP_CONFIG, HOOP_IDP_UNREACHABLE */
export async function checkDeviceGrant(
  provider: IdentityProvider,
  signal: AbortSignal,
): Promise<string> {
  const { issuer, clientId } = provider;
  const base = issuer.replace(/\/$/, '');
  const discovery = await ask(issuer, `${base}/.well-known/openid-configuration`, { signal });
  const { device_authorization_endpoint: endpoint } = Discovery.parse(await discovery.json());
  if (endpoint === undefined) {
    return provider.device === undefined
      ? 'no device codes'
      : 'the policy allows device codes, the provider has none';
  }
  const body = new URLSearchParams({ client_id: clientId, scope: 'openid' });
  const reply = await ask(issuer, endpoint, { method: 'POST', body, signal });
  await reply.body?.cancel();
  if (reply.ok) {
    throw new HoopError('HOOP_CONFIG', `the client "${clientId}" is given device codes`, {
      detail: 'A login by such a code would count as one in the browser, with all roles',
    });
  }
  return `no device codes for "${clientId}"`;
}

async function ask(issuer: string, url: string, request: RequestInit): Promise<Response> {
  if (!isSafeProviderUrl(url)) {
    throw new HoopError('HOOP_CONFIG', `"${issuer}" is neither https nor on this machine`);
  }
  try {
    return await fetch(url, { ...request, redirect: 'error' });
  } catch (cause) {
    throw new HoopError('HOOP_IDP_UNREACHABLE', `cannot reach "${issuer}"`, { cause });
  }
}
