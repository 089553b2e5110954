/** Names of targets and agents without asking anyone: from the policy that this machine has verified last. */
import { readTrust } from '../auth/trust.ts';
import { normalizeGatewayUrl } from '../client/gateway-url.ts';
import { locateHome, readConfig } from '../home.ts';
import { PolicyClone } from '../policy/repo/policy-clone.ts';
import { gatewayPolicyDirectory } from './verify-gateway-policy.ts';

const FILES = {
  targets: /^targets\/[^/]+\.ya?ml$/,
  agents: /^agents\/[^/]+\.ya?ml$/,
} as const;
/** The key at the start of a line: nothing else of the file matters here. */
const NAME = /^name:[ \t]*(["']?)([\w.-]+)\1[ \t]*(#.*)?$/m;

/** @returns sorted; empty before the first login, and before the first session. */
export async function knownNames(
  of: keyof typeof FILES,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<string[]> {
  const home = locateHome(env);
  const config = readConfig(home, env);
  if (config.gateway === undefined) {
    return [];
  }
  const gateway = normalizeGatewayUrl(config.gateway);
  const pin = readTrust(home).get(gateway);
  if (pin === undefined) {
    return [];
  }
  const clone = await PolicyClone.open(
    {
      dir: gatewayPolicyDirectory(home, gateway),
      branch: pin.policyBranch,
      allowedSigners: pin.allowedSigners,
      env,
    },
    signal,
  );
  const commit = await clone.accepted(signal);
  if (commit === undefined) {
    return [];
  }
  const files = await clone.readFiles(commit, (path) => FILES[of].test(path), signal);
  return [...files.values()].flatMap((text) => NAME.exec(text)?.[2] ?? []).sort();
}
