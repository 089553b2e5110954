/** What the flags of `hoop run` say about a fence. Apart, so that a run without one loads nothing of it. */
import { HoopError } from '../errors.ts';

export interface FenceFlags {
  readonly fence?: boolean;
  readonly fenceAllow?: readonly string[];
  readonly fenceHide?: readonly string[];
  readonly fenceShow?: readonly string[];
  readonly fenceWrite?: readonly string[];
}

/** @throws HoopError HOOP_USAGE: a fence is described and not asked for */
export function checkFenceFlags(flags: FenceFlags): void {
  const { fence, fenceAllow, fenceHide, fenceShow, fenceWrite } = flags;
  if (!fence && [fenceAllow, fenceHide, fenceShow, fenceWrite].some((list) => list !== undefined)) {
    throw new HoopError('HOOP_USAGE', 'the options of a fence are given without --fence', {
      hint: 'Add --fence, or leave them out.',
    });
  }
}
