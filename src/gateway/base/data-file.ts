/**
 * JSON files in the data directory that the gateway alone writes. Files and not tables, because
 * `hoop gateway check` reads them while a gateway runs.
 */
import type * as z from 'zod';
import { HoopError, type HoopErrorOptions } from '../../errors.ts';
import { readPrivateFile, writePrivateFile } from '../../recording/keys/private-file.ts';
import { errorFields, type Log } from './log.ts';

const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * @param told why the file matters, and what to do
 * @returns undefined: there is none
 * @throws HOOP_LOCAL_STATE when it is not what was written
 */
export function readDataFile<T>(
  path: string,
  schema: z.ZodType<T>,
  told: Pick<HoopErrorOptions, 'detail' | 'hint'>,
): T | undefined {
  try {
    const bytes = readPrivateFile(path);
    return bytes === undefined ? undefined : schema.parse(JSON.parse(decoder.decode(bytes)));
  } catch (cause) {
    throw new HoopError('HOOP_LOCAL_STATE', `cannot read "${path}"`, { ...told, cause });
  }
}

/** What only warnings come from keeps no gateway from starting: damaged, it begins anew. */
export function keptForWarnings<T>(read: () => T, none: T, log: Log): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof HoopError)) throw error;
    log.warn('data.unreadable', errorFields(error));
    return none;
  }
}

/** On disk when this returns. */
export function writeDataFile(path: string, value: object): void {
  writePrivateFile(path, `${JSON.stringify(value)}\n`);
}
