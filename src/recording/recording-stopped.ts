import { type ErrorCode, HoopError, type HoopErrorOptions } from '../errors.ts';
import type { EndReason } from './types.ts';

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
