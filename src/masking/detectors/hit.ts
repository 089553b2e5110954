import type { DetectorName } from '../../policy/types.ts';

/** A stretch of text (UTF-16 offsets) that a detector takes for protected data. */
export interface Hit {
  readonly detector: DetectorName;
  readonly start: number;
  readonly end: number;
  /** It stands there as hexadecimal digits, and so must what takes its place. */
  readonly isHex?: true;
}
