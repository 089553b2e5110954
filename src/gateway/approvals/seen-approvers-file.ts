/**
 * `seen-approvers.json` in the data directory: which groups of approvers somebody has logged in with.
 * A file and not a table, because `hoop gateway check` reads it while a gateway runs.
 */
import { join } from 'node:path';
import * as z from 'zod';
import { HoopError } from '../../errors.ts';
import { readPrivateFile, writePrivateFile } from '../../recording/private-file.ts';

const File = z.strictObject({ v: z.literal(1), groups: z.array(z.string()).readonly() });

const decoder = new TextDecoder('utf-8', { fatal: true });

export function seenApproversPath(dataDirectory: string): string {
  return join(dataDirectory, 'seen-approvers.json');
}

/** @throws HOOP_LOCAL_STATE when it is not what was written */
export function readSeenApprovers(path: string): readonly string[] {
  try {
    const bytes = readPrivateFile(path);
    return bytes === undefined ? [] : File.parse(JSON.parse(decoder.decode(bytes))).groups;
  } catch (cause) {
    throw new HoopError('HOOP_LOCAL_STATE', `cannot read "${path}"`, {
      detail: 'It says which groups of approvers somebody has logged in with, for warnings.',
      hint: 'Delete the file: it fills again as people log in.',
      cause,
    });
  }
}

/** On disk when this returns. */
export function writeSeenApprovers(path: string, groups: readonly string[]): void {
  writePrivateFile(path, `${JSON.stringify({ v: 1, groups } satisfies z.infer<typeof File>)}\n`);
}
