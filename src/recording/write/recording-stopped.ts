import { type ErrorCode, HoopError, type HoopErrorOptions } from '../../errors.ts';
import type { EndReason } from '../formats/types.ts';

/** Why a recording, and with it its session, cannot go on. */
export class RecordingStopped extends HoopError {
  readonly endReason: EndReason;

  constructor(
    endReason: EndReason,
    code: ErrorCode,
    message: string,
    options: HoopErrorOptions = {},
  ) {
    super(code, message, options);
    this.name = 'RecordingStopped';
    this.endReason = endReason;
  }
}

/** The recording could not be written. */
export function stoppedByWrite(error: HoopError): RecordingStopped {
  const { detail, hint } = error;
  const endReason = error.code === 'HOOP_DISK_FULL' ? 'disk_full' : 'recording_failed';
  return new RecordingStopped(endReason, error.code, error.message, {
    detail,
    hint,
    cause: error,
  });
}

/** Something that was recorded did not go on, by a fault of ours: the record claims too much. */
export function stoppedByForward(cause: unknown): RecordingStopped {
  const message = 'what was recorded could not be passed on';
  return new RecordingStopped('recording_failed', 'HOOP_INTERNAL', message, { cause });
}
