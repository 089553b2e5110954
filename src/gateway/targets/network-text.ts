/** Why a target cannot be reached, as a sentence; the network's own words are for nobody but us. */
import { errorCode } from '../../error-code.ts';

const NETWORK: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'The connection was refused: nothing listens there.',
  ECONNRESET: 'The connection was reset.',
  EPIPE: 'The connection was closed.',
  ETIMEDOUT: 'The server does not answer.',
  EHOSTUNREACH: 'There is no route to the server.',
  ENETUNREACH: 'There is no route to the server.',
  ENOTFOUND: 'Its name cannot be resolved.',
  EAI_AGAIN: 'Its name cannot be resolved now.',
  EMFILE: 'The gateway has no file descriptors left.',
};

export function networkText(cause: unknown): string {
  // Of several addresses that all failed, Node gives an error without a code of its own kind.
  const first: unknown = cause instanceof AggregateError ? cause.errors[0] : cause;
  const code = errorCode(first);
  return NETWORK[code ?? ''] ?? `The connection failed${code === undefined ? '' : ` (${code})`}.`;
}
