import { HoopError, type HoopErrorOptions } from './errors.ts';

/** Bytes that are not what the recording format allows; nothing is ever repaired on the way in. */
export class FormatError extends HoopError {
  constructor(message: string, options: HoopErrorOptions = {}) {
    super('HOOP_RECORDING_DAMAGED', message, options);
    this.name = 'FormatError';
  }
}

/** The file ends where more must follow: nothing in it is known to be altered. */
export class CutOffError extends FormatError {}
