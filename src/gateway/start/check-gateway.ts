/** `hoop gateway check`: what would keep a gateway with this configuration from working. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import { HoopError } from '../../errors.ts';
import { approverGroups, neverSeenText } from '../../policy/approver-groups.ts';
import { policyConnectors } from '../../policy/connector.ts';
import { type MaskAlert, maskAlertText } from '../../policy/mask-alert.ts';
import type { Policy } from '../../policy/policy.ts';
import { PolicyRepo } from '../../policy/repo.ts';
import { readSeenApprovers, seenApproversPath } from '../approvals/seen-approvers.ts';
import type { CheckResult } from '../base/check-result.ts';
import { type GatewayConfig, readGatewayConfig } from '../base/config.ts';
import { createLog } from '../base/log.ts';
import type { CheckServices, GatewaySource } from '../connector.ts';
import { readServerCertificate } from '../http/https-listener.ts';
import { type CertificateState, certificateState, hostsOf } from '../http/server-certificate.ts';
import { checkProvider } from '../identity/check-provider.ts';
import { withGroupless } from '../identity/groupless-logins.ts';
import { ConfigCredentialStore } from '../targets/credential-store.ts';
import { Targets } from '../targets/targets.ts';
import { checkDataDirectory } from './data-directory.ts';
import { checkStore } from './open-store.ts';

const CHECK_TIMEOUT_MS = 20_000;
const MIB = 1024 * 1024;

export interface CheckGatewayOptions {
  /** For each kind of target that there may be. */
  readonly connectors: readonly GatewaySource[];
  readonly configFile: string;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  /** For warnings. */
  readonly logTo: Writable;
}

/** @throws HOOP_CONFIG when the configuration itself is not valid */
export async function checkGateway(options: CheckGatewayOptions): Promise<CheckResult[]> {
  const { env } = options;
  const config = await readGatewayConfig(options.configFile);
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(CHECK_TIMEOUT_MS)]);
  const log = createLog({ stream: options.logTo, json: false });
  const credentials = new ConfigCredentialStore({ credentials: config.credentials, env, log });
  const results = [
    await checkCertificate(config),
    await attempt('data directory', () => checkDataDirectory(config.dataDir)),
    ...(dirname(config.keysDir) === config.dataDir
      ? []
      : [await attempt('keys directory', () => checkDataDirectory(config.keysDir))]),
    await attempt('store', () =>
      checkStore({ config: config.store, dataDir: config.dataDir, env, log }),
    ),
    await attempt('credentials', async () => {
      await credentials.check();
      return `${Object.keys(config.credentials).length} can be read`;
    }),
  ];
  let policy: Policy | undefined;
  results.push(
    await attempt('policy', async () => {
      const found = await fetchPolicy(config, options, signal);
      policy = found.policy;
      return `commit ${found.commit.slice(0, 12)} signed by ${found.signer}`;
    }),
  );
  if (policy !== undefined) {
    results.push(...(await checkApprovers(policy, config.dataDir)));
  }
  for (const provider of policy?.identityProviders ?? []) {
    const check = `provider ${provider.issuer}`;
    const found = await attempt(check, () => checkProvider(provider, signal));
    results.push(withGroupless(found, provider.issuer, config.dataDir));
  }
  return policy === undefined
    ? results
    : [
        ...results,
        ...(await checkTargets(policy, options.connectors, {
          targets: new Targets(config),
          credentials,
          maxMessageBytes: config.limits.messageMiB * MIB,
          dataDirectory: config.dataDir,
          signal,
        })),
      ];
}

async function checkCertificate(config: GatewayConfig): Promise<CheckResult> {
  let found: CertificateState | undefined;
  const read = await attempt('tls', async () => {
    const { cert } = await readServerCertificate(config.tls);
    found = certificateState(cert.toString(), hostsOf(config), Date.now());
    return found.text;
  });
  if (found === undefined || found.state === 'good') return read;
  const { state, hint } = found;
  const told = { ...read, ...(hint === undefined ? {} : { hint }) };
  return state === 'unusable' ? { ...told, ok: false } : { ...told, warning: true };
}

async function checkTargets(
  policy: Policy,
  sources: readonly GatewaySource[],
  services: CheckServices,
): Promise<CheckResult[]> {
  const connectors = new Map(
    await Promise.all(
      sources.map(async (source) => [source.kind, await source.gateway()] as const),
    ),
  );
  const results: CheckResult[] = [];
  for (const target of policy.targets.values()) {
    results.push(
      await attempt(`target ${target.name}`, async () => {
        const connector = connectors.get(target.kind);
        if (connector === undefined) {
          throw new HoopError('HOOP_CONFIG', `there is no connector for kind ${target.kind}`);
        }
        return connector.check(services, target);
      }),
    );
  }
  try {
    const alerts: MaskAlert[] = [];
    for (const connector of connectors.values()) {
      alerts.push(...((await connector.findAlerts?.(services, policy)) ?? []));
    }
    return results.map((result) => {
      const own = alerts.filter(({ target }) => result.check === `target ${target}`);
      return withMaskAlerts(result, own);
    });
  } catch (error) {
    return [...results, await attempt('masks', () => Promise.reject(error))];
  }
}

function withMaskAlerts(result: CheckResult, alerts: readonly MaskAlert[]): CheckResult {
  if (alerts.length === 0 || !result.ok) {
    return result;
  }
  return {
    ...result,
    warning: true,
    text: [result.text, ...alerts.map(maskAlertText)].join('\n'),
    hint: 'Correct the names in the policy. A mask keeps masking what it was bound to; a name that was never found masks nothing.',
  };
}

/** What a gateway with this data directory has kept. */
async function checkApprovers(policy: Policy, dataDirectory: string): Promise<CheckResult[]> {
  const groups = [...approverGroups(policy).keys()];
  if (groups.length === 0) {
    return [];
  }
  const check = 'approvers';
  let unseen: string[] = [];
  const read = await attempt(check, async () => {
    const seen = new Set(readSeenApprovers(seenApproversPath(dataDirectory)));
    unseen = groups.filter((group) => !seen.has(group));
    return 'somebody has logged in with each group of approvers';
  });
  // A gateway starts without it: warnings are all that comes of it.
  if (!read.ok) return [{ ...read, ok: true, warning: true }];
  return unseen.length === 0
    ? [read]
    : [
        {
          check,
          ok: true,
          warning: true,
          text: unseen.map(neverSeenText).join('\n'),
          hint: 'Compare the names with those that the identity provider sends (`hoop whoami` shows yours). On a new gateway, have the approvers log in once.',
        },
      ];
}

async function fetchPolicy(
  config: GatewayConfig,
  { connectors, env }: CheckGatewayOptions,
  signal: AbortSignal,
) {
  const directory = await mkdtemp(join(tmpdir(), 'hoop-check-'));
  try {
    const repo = await PolicyRepo.open(
      {
        dir: directory,
        repository: config.policy.repository,
        branch: config.policy.branch,
        allowedSigners: await readFile(config.policy.allowedSignersFile, 'utf8'),
        env,
        connectors: await policyConnectors(connectors),
      },
      signal,
    );
    const { problem } = await repo.sync(signal);
    const current = repo.current();
    if (problem !== undefined || current === undefined) {
      throw problem ?? new HoopError('HOOP_POLICY_MISSING', 'the repository contains no policy');
    }
    return current;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function attempt(check: string, work: () => Promise<string>): Promise<CheckResult> {
  try {
    return { check, ok: true, text: await work() };
  } catch (error) {
    if (error instanceof HoopError || (error instanceof Error && 'code' in error)) {
      const detail = error instanceof HoopError ? error.detail : undefined;
      const separator = detail?.includes('\n') ? ':\n' : ': ';
      const text = detail ? `${error.message}${separator}${detail}` : error.message;
      const hint = error instanceof HoopError ? error.hint : undefined;
      return { check, ok: false, text, ...(hint === undefined ? {} : { hint }) };
    }
    throw error;
  }
}
