import { HoopError, ProtocolError } from '../../../errors.ts';

/** The connection stands, and the server sends nothing any more. */
export class TargetSilent extends Error {
  constructor() {
    super('the server no longer answers');
  }
}

/** What a client is told when the connection to a target that was there is no more. */
export function targetLost(target: string, cause: unknown): HoopError {
  const text =
    cause instanceof ProtocolError
      ? `The server broke the protocol: ${cause.message}.`
      : cause instanceof TargetSilent
        ? 'It no longer answers.'
        : undefined;
  return new HoopError('HOOP_TARGET_UNREACHABLE', `the connection to target "${target}" was lost`, {
    ...(text === undefined ? {} : { detail: text }),
    hint: 'Connect again; commands that were running there may have ended, or may still be running.',
    cause,
  });
}
