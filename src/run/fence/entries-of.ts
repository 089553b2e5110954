import { type Dirent, readdirSync } from 'node:fs';

/** Of a directory; none when it is gone or not for us to see: then a command of ours cannot read it either. */
export function entriesOf(directory: string): readonly Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
}
