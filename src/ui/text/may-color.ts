/** Whether escape codes for colour may be written to a stream. */

/** Jobs of every CI system that sets `CI`; a log is read later, and elsewhere. */
export function isCi(env: NodeJS.ProcessEnv): boolean {
  return isOn(env['CI']);
}

/**
 * `NO_COLOR` is the strongest, whatever it says; `FORCE_COLOR` comes next, for logs that show
 * colours. Else it takes a terminal, and one that is not a CI system's: some give their jobs one.
 * https://no-color.org, https://force-color.org
 */
export function mayColor(stream: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv): boolean {
  if (env['NO_COLOR']) {
    return false;
  }
  const forced = env['FORCE_COLOR'];
  if (forced) {
    return isOn(forced);
  }
  return stream.isTTY === true && env['TERM'] !== 'dumb' && !isCi(env);
}

function isOn(value: string | undefined): boolean {
  return value !== undefined && !['', '0', 'false'].includes(value.toLowerCase());
}
