import { HoopError, type HoopErrorOptions } from './errors.ts';

/** Bytes that are not what the recording format allows; nothing is ever repaired on the way in. */
export class FormatError extends HoopError {
  constructor(
    message: string,
    options: HoopErrorOptions = {},
    code: 'HOOP_RECORDING_DAMAGED' | 'HOOP_RECORDING_FORMAT' = 'HOOP_RECORDING_DAMAGED',
  ) {
    super(code, message, options);
    this.name = 'FormatError';
  }
}

/** The file ends where more must follow: nothing in it is known to be altered. */
export class CutOffError extends FormatError {}

/** A recording of format 1: neither damaged nor altered, as far as anybody here can tell. */
export class OldFormatError extends FormatError {
  constructor() {
    super(
      'the recording has format 1, which this version does not read',
      { hint: 'Read it with the version of hoop that made it.' },
      'HOOP_RECORDING_FORMAT',
    );
  }
}
