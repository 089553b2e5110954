import { HoopError } from '../errors.ts';

/** Inside of a fence no address is wrong and no gateway is down: there is no way to any. */
export function explainInFence(error: unknown, env: NodeJS.ProcessEnv): unknown {
  const isFenced = Boolean(env['HOOP_FENCE'] && env['HOOP_RUN_DIR']);
  if (!isFenced || !(error instanceof HoopError) || error.code !== 'HOOP_UNREACHABLE') return error;
  return new HoopError(error.code, error.message, {
    detail: 'This program is inside a `hoop run --fence`, from where the gateway is not reached.',
    hint: 'Use the connections that are in the environment.',
    cause: error,
  });
}
