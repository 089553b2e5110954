/**
 * Whether a file was ever a recording, before its checks are read: a photograph is not an altered
 * recording. Only one readable name of a member is asked for, so that a recording with a damaged
 * start is still checked, and found to be damaged.
 */

import { TAR_BLOCK } from '../formats/tar.ts';
import { isMemberName } from './bundle-members.ts';
import type { BundleSource } from './bundle-source.ts';

/** Behind this much that is none, nothing makes it one: the members come first, and are small. */
const LOOKED_AT_BYTES = 1024 * 1024;
/** https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_06 */
const NAME_LENGTH = 100;

export function looksLikeRecording(source: BundleSource): boolean {
  const end = Math.min(source.size, LOOKED_AT_BYTES);
  for (let at = 0; at + NAME_LENGTH <= end; at += TAR_BLOCK) {
    const name = Buffer.from(source.read(at, NAME_LENGTH)).toString('latin1').replace(/\0+$/, '');
    if (isMemberName(name)) {
      return true;
    }
  }
  return false;
}
