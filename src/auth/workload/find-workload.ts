/** Which platform we run on, and what was looked at on the way: for logging in, and for `--explain`. */
import { HoopError } from '../../errors.ts';
import { createProbes } from './probes.ts';
import { WORKLOAD_PROVIDERS } from './providers.ts';
import { workloadAudience } from './workload-audience.ts';
import type {
  Detection,
  FoundWorkload,
  WorkloadContext,
  WorkloadProvider,
} from './workload-provider.ts';

export interface ProviderReport {
  readonly name: string;
  readonly title: string;
  readonly state: Detection['state'];
  readonly because: string;
  readonly hint?: string;
}

export interface ChosenWorkload {
  readonly provider: Pick<WorkloadProvider, 'name' | 'title'>;
  readonly workload: FoundWorkload;
}

export interface WorkloadSearch {
  readonly chosen: ChosenWorkload | undefined;
  /** As far as was looked. */
  readonly reports: readonly ProviderReport[];
}

export interface SearchOptions {
  /** Names of the providers to ask; default: all. */
  readonly only?: readonly string[];
  /** Go on after the first one that is found, for `--explain`. */
  readonly all?: boolean;
  readonly signal: AbortSignal;
}

/** Tokens that were handed to this process on purpose: these come before a login. */
export const EXPLICIT_PROVIDERS: readonly string[] = ['token', 'token-file'];

/** @param gateway base URL; undefined: none is known */
export function openContext(
  env: WorkloadContext['env'],
  gateway: string | undefined,
): WorkloadContext {
  const audience = gateway === undefined ? undefined : workloadAudience(gateway, env);
  return { env, probes: createProbes({ env }), audience };
}

/** In the order of `WORKLOAD_PROVIDERS`; the first that is found is taken. */
export async function findWorkload(
  context: WorkloadContext,
  { only, all = false, signal }: SearchOptions,
): Promise<WorkloadSearch> {
  const reports: ProviderReport[] = [];
  let chosen: ChosenWorkload | undefined;
  for (const provider of WORKLOAD_PROVIDERS) {
    if (only !== undefined && !only.includes(provider.name)) {
      continue;
    }
    const detection = await provider.detect(context, signal);
    const { name, title } = provider;
    reports.push({
      name,
      title,
      state: detection.state,
      because: detection.because,
      ...(detection.state === 'unusable' ? { hint: detection.hint } : {}),
    });
    if (detection.state === 'found') {
      chosen ??= { provider: { name, title }, workload: detection };
      if (!all) {
        break;
      }
    }
  }
  return { chosen, reports };
}

/** `HOOP_IDENTITY`: undefined leaves the choice to hoop. @throws HoopError HOOP_CONFIG */
export function identityChoice(
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const choice = env['HOOP_IDENTITY'];
  if (!choice) {
    return undefined;
  }
  const names = ['login', ...WORKLOAD_PROVIDERS.map(({ name }) => name)];
  if (!names.includes(choice)) {
    throw new HoopError('HOOP_CONFIG', 'HOOP_IDENTITY names an identity that hoop does not know', {
      hint: `Choices are ${names.join(', ')}.`,
    });
  }
  return choice;
}
