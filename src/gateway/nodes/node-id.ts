import { randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { HoopError } from '../../errors.ts';
import { createPrivateFile } from '../../recording/private-file.ts';

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Made with the data directory, and stays with it.
 * @throws HOOP_LOCAL_STATE
 */
export function openNodeId(dataDir: string): string {
  const path = join(dataDir, 'node-id');
  const id = Buffer.from(createPrivateFile(path, () => Buffer.from(`${randomUUID()}\n`)))
    .toString()
    .trim();
  if (ID.test(id)) return id;
  throw new HoopError('HOOP_LOCAL_STATE', `"${path}" does not hold the id of a node`, {
    hint: 'Restore it from the backup; without it the gateway does not know which sessions are its own.',
  });
}

/** Where the directory is: a copy of it, here or elsewhere, is at another place. */
export function nodePlace(dataDir: string): string {
  const { dev, ino } = statSync(dataDir);
  return `${hostname()}:${dev}:${ino}`;
}
