/**
 * For a platform that was found and not asked for: on a cloud machine sits a person as well, who
 * meant to log in and should not be sent to look for the machine's identity.
 */
import { HoopError } from '../../errors.ts';

const HINT = 'A person logs in with `hoop login`.';

/** @throws HoopError what `asking` throws; about an identity also with how a person logs in */
export async function mentionLogin<T>(asking: Promise<T>): Promise<T> {
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
