/**
 * What hoop knows of a platform that gives its jobs and machines an identity of their own: how to
 * see that we run there, and how to get a token for the gateway. One file per platform beside this.
 */
import { HoopError, type HoopErrorOptions } from '../../errors.ts';
import type { Probes } from './probes.ts';

export interface WorkloadContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly probes: Probes;
  /** What tokens must be made out to, for hints; undefined: no gateway is known. */
  readonly audience: string | undefined;
}

export interface WorkloadProvider {
  /** For `HOOP_IDENTITY` and `--explain`: `github`. Lower case, one word. */
  readonly name: string;
  /** For people: `GitHub Actions`. */
  readonly title: string;
  /** The title is the variable in which somebody has put a token, or the name of its file. */
  readonly isGiven?: true;
  /**
   * Costs nothing where the platform is not: variables first, then a file or DMI, and the network
   * (≤ `PROBE_TIMEOUT_MS`) only when one of these says that the platform is there.
   * @throws never for what it finds or does not find; only when `signal` aborts
   */
  detect(context: WorkloadContext, signal: AbortSignal): Promise<Detection>;
}

export type Detection = AbsentWorkload | UnusableWorkload | FoundWorkload;

/** We are not on this platform. */
export interface AbsentWorkload {
  readonly state: 'absent';
  /** Which sign is missing, for `--explain`: `GITHUB_ACTIONS is not set`. No period. */
  readonly because: string;
}

/** We are, but it gives no token as things are set up. */
export interface UnusableWorkload {
  readonly state: 'unusable';
  readonly because: string;
  /** What to change; full sentences. */
  readonly hint: string;
}

export interface FoundWorkload {
  readonly state: 'found';
  /** Which sign told so: `GITHUB_ACTIONS is set`. No period, never a secret. */
  readonly because: string;
  /**
   * What tells this job from the next one on the same machine, such as the job's id together with
   * its request token. Only its digest is kept. A login is used again only under the same scope,
   * so that a job on a machine that stays does not act as the one before.
   */
  readonly scope: string;
  /**
   * @param audience what the token must be made out to: `https://gateway.example.com/workload`
   * @returns the JWT, as it came
   * @throws HoopError HOOP_WORKLOAD_TOKEN; see `workloadTokenError`
   */
  fetchToken(audience: string, signal: AbortSignal): Promise<string>;
}

export function absent(because: string): AbsentWorkload {
  return { state: 'absent', because };
}

/** The platform gave no token, or what was given is none. Never quote what it answered: a token could be in it. */
export function workloadTokenError(
  { title, isGiven }: Pick<WorkloadProvider, 'title' | 'isGiven'>,
  what: string,
  options: HoopErrorOptions = {},
): HoopError {
  const told = isGiven ? `the token of ${title} cannot be used` : `${title} provided no token`;
  return new HoopError('HOOP_WORKLOAD_TOKEN', `${told}: ${what}`, options);
}
