/**
 * As whom a command acts. In this order: what `HOOP_IDENTITY` says; a token that was handed to the
 * process (`HOOP_TOKEN`, `HOOP_IDENTITY_TOKEN_FILE`); the login of `hoop login`; the platform on
 * which it runs. Platforms are looked for only when nothing before gave anything.
 */
import { HoopError } from '../errors.ts';
import type { SearchedTokens } from './token-stores.ts';
import type { ChosenWorkload, ProviderReport } from './workload/find-workload.ts';

export interface IdentityOptions {
  readonly env: NodeJS.ProcessEnv;
  /** Base URL; undefined: none is known. */
  readonly gateway: string | undefined;
  /** Whether there is a login, and if not, why one could not be looked for. */
  readonly findLogin: () => Promise<SearchedTokens>;
  readonly signal: AbortSignal;
}

/** `isImplied`: nobody asked for the platform that was found; a person may have meant to log in. */
export type ChosenIdentity =
  | { readonly kind: 'login'; readonly searched: SearchedTokens }
  | ({ readonly kind: 'workload'; readonly isImplied: boolean } & ChosenWorkload);

/** Where none is set a login is all that counts, and the platforms are not even loaded. */
const SAYS_WHO = ['HOOP_IDENTITY', 'HOOP_TOKEN', 'HOOP_IDENTITY_TOKEN_FILE'];

/** @throws HoopError HOOP_CONFIG, HOOP_WORKLOAD_TOKEN, HOOP_NOT_LOGGED_IN */
export async function chooseIdentity(options: IdentityOptions): Promise<ChosenIdentity> {
  const { env, gateway, findLogin, signal } = options;
  const login = SAYS_WHO.some((name) => env[name]) ? undefined : await findLogin();
  if (login?.found !== undefined) {
    return { kind: 'login', searched: login };
  }
  const { EXPLICIT_PROVIDERS, findWorkload, identityChoice, openContext } = await import(
    './workload/find-workload.ts'
  );
  const choice = identityChoice(env);
  const context = openContext(env, gateway);
  if (choice === 'login') {
    return { kind: 'login', searched: await findLogin() };
  }
  if (choice !== undefined) {
    const { chosen, reports } = await findWorkload(context, { only: [choice], signal });
    if (chosen === undefined) {
      throw notFound(choice, reports);
    }
    return { kind: 'workload', isImplied: false, ...chosen };
  }
  const explicit = await findWorkload(context, { only: EXPLICIT_PROVIDERS, signal });
  if (explicit.chosen !== undefined) {
    return { kind: 'workload', isImplied: false, ...explicit.chosen };
  }
  const wanted = explicit.reports.find(({ state }) => state === 'unusable');
  if (wanted !== undefined) {
    // Whoever names a token file does not want to be somebody else when it is missing.
    throw notFound(wanted.name, [wanted]);
  }
  const searched = login ?? (await findLogin());
  if (searched.found !== undefined) {
    return { kind: 'login', searched };
  }
  const { chosen, reports } = await findWorkload(context, { signal });
  if (chosen !== undefined) {
    return { kind: 'workload', isImplied: true, ...chosen };
  }
  const unusable = reports.find(({ state }) => state === 'unusable');
  if (unusable !== undefined) {
    throw new HoopError(
      'HOOP_NOT_LOGGED_IN',
      'not logged in, and the platform provides no identity',
      {
        detail: `${unusable.title}: ${unusable.because}.`,
        hint: `${unusable.hint ?? ''} A person logs in with \`hoop login\`.`.trim(),
      },
    );
  }
  return { kind: 'login', searched };
}

function notFound(name: string, reports: readonly ProviderReport[]): HoopError {
  const [report] = reports;
  return new HoopError(
    'HOOP_WORKLOAD_TOKEN',
    `no identity from ${report?.title ?? name}: ${report?.because ?? 'it is unknown here'}`,
    { hint: report?.hint ?? '`hoop whoami --explain` shows what hoop looked for.' },
  );
}
