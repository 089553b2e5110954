/**
 * `mask-bindings.json` in the data directory: which attributes masks were bound to, by target and
 * database.
 */
import { join } from 'node:path';
import * as z from 'zod';
import { readDataFile, writeDataFile } from '../../../../gateway/base/data-file.ts';

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

export function maskBindingsPath(dataDirectory: string): string {
  return join(dataDirectory, 'mask-bindings.json');
}

/** @throws HOOP_LOCAL_STATE when it is not what was written: without it a renamed column would be open */
export function readMaskBindings(path: string): readonly KeptBinding[] {
  const file = readDataFile(path, File, {
    detail: 'It records which columns stay masked under another name.',
    hint: 'Restore the file from a backup. Without it, masks start over with the names in the policy.',
  });
  return file?.bindings ?? [];
}

/** On disk when this returns. */
export function writeMaskBindings(path: string, bindings: readonly KeptBinding[]): void {
  writeDataFile(path, { v: 1, bindings } satisfies z.infer<typeof File>);
}
