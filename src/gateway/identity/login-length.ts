/** How long a login lasts where the policy does not say, and what is said when it is over. */
import type { HoopError } from '../../errors.ts';
import { tokenError } from './tokens/token-error.ts';

export const LOGIN_SECONDS = 12 * 60 * 60;
/** Short: machines stay, jobs do not, and the next token makes it last longer. */
export const WORKLOAD_LOGIN_SECONDS = 60 * 60;

export function loginExpired(): HoopError {
  return tokenError('HOOP_TOKEN_EXPIRED', 'the login has expired', {
    detail: `A login lasts ${LOGIN_SECONDS / 3600} hours, or its provider’s \`maxTime\` in hoop.yaml; a job’s login ends ${WORKLOAD_LOGIN_SECONDS / 60} minutes after its last token.`,
  });
}
