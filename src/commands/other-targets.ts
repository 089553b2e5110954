/** What is added to a refusal of a target that the caller has nothing on: perhaps another was meant. */
import type { OpenGateway } from '../auth/open-gateway.ts';
import { HoopError } from '../errors.ts';
import { nearestName } from '../ui/text/nearest-name.ts';

/** More are no help in a line; `hoop targets` has all. */
const MAX_NAMES = 10;

/** @throws the error, with the target that was probably meant, or those that there are */
export async function withOtherTargets(
  error: unknown,
  open: Pick<OpenGateway, 'client'>,
  typed: string,
  signal: AbortSignal,
): Promise<never> {
  if (!(error instanceof HoopError) || error.code !== 'HOOP_ACCESS_DENIED') {
    throw error;
  }
  // Without an answer the refusal is told as it came: it is what counts.
  const { targets } = await open.client.targets(signal).catch(() => {
    throw error;
  });
  const names = targets.map(({ name }) => name);
  // It is reached, and something else is missing: a reason, a login.
  if (names.includes(typed)) {
    throw error;
  }
  const nearest = nearestName(typed, names);
  const { code, message, detail } = error;
  const hint =
    nearest === undefined
      ? [error.hint, ...namesText(names)].filter((part) => part !== undefined).join(' ')
      : `Did you mean "${nearest}"? See what you can reach with \`hoop targets\`.`;
  throw new HoopError(code, message, { detail, hint, cause: error });
}

function namesText(names: readonly string[]): string[] {
  const sorted = [...names].sort();
  const more = sorted.length - MAX_NAMES;
  const shown = sorted.slice(0, MAX_NAMES).join(', ');
  return names.length === 0
    ? []
    : [`You may reach ${shown}${more > 0 ? `, and ${more} more` : ''}.`];
}
