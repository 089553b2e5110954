/** The narrowest that tables are made for. */
const MIN_COLUMNS = 40;

/**
 * For how many columns to print. A pipe has none, and gets everything in full; `HOOP_COLUMNS` is for
 * programs that show our output on a terminal themselves. (`COLUMNS` is exported by shells that know
 * nothing of the pipe, and would cut ids in scripts.)
 */
export function terminalWidth(
  stream: { readonly isTTY?: boolean; readonly columns?: number },
  env: NodeJS.ProcessEnv,
): number | undefined {
  if (stream.isTTY) {
    return stream.columns;
  }
  const wanted = Number(env['HOOP_COLUMNS']);
  return Number.isInteger(wanted) && wanted >= MIN_COLUMNS ? wanted : undefined;
}
