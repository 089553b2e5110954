/** `seen-approvers.json` in the data directory: which groups of approvers somebody has logged in with. */
import { join } from 'node:path';
import * as z from 'zod';
import { readDataFile, writeDataFile } from '../base/data-file.ts';

const File = z.strictObject({ v: z.literal(1), groups: z.array(z.string()).readonly() });

export function seenApproversPath(dataDirectory: string): string {
  return join(dataDirectory, 'seen-approvers.json');
}

/** @throws HOOP_LOCAL_STATE when it is not what was written */
export function readSeenApprovers(path: string): readonly string[] {
  const file = readDataFile(path, File, {
    detail: 'It says which groups of approvers somebody has logged in with, for warnings.',
    hint: 'Delete the file: it fills again as people log in.',
  });
  return file?.groups ?? [];
}

/** On disk when this returns. */
export function writeSeenApprovers(path: string, groups: readonly string[]): void {
  writeDataFile(path, { v: 1, groups } satisfies z.infer<typeof File>);
}
