/** What the flags of `hoop run` say about a fence. Apart, so that a run without one loads nothing of it. */
import { HoopError } from '../../errors.ts';

export interface FenceFlags {
  readonly fence?: boolean;
  readonly fenceAllow?: readonly string[];
  readonly fenceHide?: readonly string[];
  readonly fenceShow?: readonly string[];
  readonly fenceWrite?: readonly string[];
}

/** What is decided about files that run by themselves later, before anybody is asked. */
export interface ChangeFlags {
  readonly keepChanges?: boolean;
  readonly restoreChanges?: boolean;
}

/** @throws HoopError HOOP_USAGE: a fence is described and not asked for */
export function checkFenceFlags(flags: FenceFlags & ChangeFlags): void {
  const { fence, fenceAllow, fenceHide, fenceShow, fenceWrite } = flags;
  if (!fence && [fenceAllow, fenceHide, fenceShow, fenceWrite].some((list) => list !== undefined)) {
    throw new HoopError('HOOP_USAGE', 'fence options need --fence', {
      hint: 'Add --fence, or omit them.',
    });
  }
  if (flags.keepChanges && flags.restoreChanges) {
    throw new HoopError('HOOP_USAGE', '--keep-changes and --restore-changes exclude each other');
  }
}
