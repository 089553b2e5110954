import { HoopError, type HoopErrorOptions } from '../../../errors.ts';

type TokenErrorCode = Extract<
  import('../../../errors.ts').ErrorCode,
  `HOOP_TOKEN_${string}` | `HOOP_PROOF_${string}`
>;

const LOGIN_AGAIN = 'Log in again with `hoop login`.';

/** A token or a proof that the gateway refuses. Neither is ever quoted. */
export function tokenError(
  code: TokenErrorCode,
  message: string,
  options: HoopErrorOptions = {},
): HoopError {
  return new HoopError(code, message, { hint: LOGIN_AGAIN, ...options });
}
