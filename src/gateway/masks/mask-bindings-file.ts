/**
 * `mask-bindings.json` in the data directory: which attributes masks were bound to, by target and
 * database. A file and not a table, because `hoop gateway check` reads it while a gateway runs.
 */
import { join } from 'node:path';
import * as z from 'zod';
import { HoopError } from '../../errors.ts';
import { readPrivateFile, writePrivateFile } from '../../recording/private-file.ts';

const Column = z.strictObject({ schema: z.string(), relation: z.string(), column: z.string() });

const KeptBinding = z.strictObject({
  target: z.string(),
  /** `databaseKey`: the numbers mean something in there alone. */
  database: z.string(),
  mask: Column,
  oid: z.int(),
  attnum: z.int(),
  isNamed: z.boolean(),
  /** What it was called when it was seen last: by this it is found in another database of the target. */
  seen: Column,
});
export type KeptBinding = z.infer<typeof KeptBinding>;

const File = z.strictObject({ v: z.literal(1), bindings: z.array(KeptBinding).readonly() });

const decoder = new TextDecoder('utf-8', { fatal: true });

export function maskBindingsPath(dataDirectory: string): string {
  return join(dataDirectory, 'mask-bindings.json');
}

/** @throws HOOP_LOCAL_STATE when it is not what was written: without it a renamed column would be open */
export function readMaskBindings(path: string): readonly KeptBinding[] {
  try {
    const bytes = readPrivateFile(path);
    return bytes === undefined ? [] : File.parse(JSON.parse(decoder.decode(bytes))).bindings;
  } catch (cause) {
    throw new HoopError('HOOP_LOCAL_STATE', `cannot read the mask bindings "${path}"`, {
      detail: 'They say which columns stay masked under another name.',
      hint: 'Restore the file from a backup. Without it, masks begin again with the names in the policy.',
      cause,
    });
  }
}

/** On disk when this returns. */
export function writeMaskBindings(path: string, bindings: readonly KeptBinding[]): void {
  writePrivateFile(path, `${JSON.stringify({ v: 1, bindings } satisfies z.infer<typeof File>)}\n`);
}
