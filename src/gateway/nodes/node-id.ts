import { randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { HoopError } from '../../errors.ts';
import { createPrivateFile, readPrivateFile } from '../../recording/keys/private-file.ts';

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Made with the data directory, and stays with it.
 * @throws HOOP_LOCAL_STATE
 */
export function openNodeId(dataDir: string): string {
  const path = nodeIdPath(dataDir);
  return nodeIdIn(
    path,
    createPrivateFile(path, () => Buffer.from(`${randomUUID()}\n`)),
  );
}

/** @returns undefined where none was made yet @throws HOOP_LOCAL_STATE */
export function readNodeId(dataDir: string): string | undefined {
  const path = nodeIdPath(dataDir);
  const content = readPrivateFile(path);
  return content && nodeIdIn(path, content);
}

const nodeIdPath = (dataDir: string): string => join(dataDir, 'node-id');

function nodeIdIn(path: string, content: Uint8Array): string {
  const id = Buffer.from(content).toString().trim();
  if (ID.test(id)) return id;
  throw new HoopError('HOOP_LOCAL_STATE', `"${path}" does not contain a node ID`, {
    hint: 'Restore it from a backup; without it the gateway does not know which sessions are its own.',
  });
}

/** Where the directory is: a copy of it, here or elsewhere, is at another place. */
export function nodePlace(dataDir: string): string {
  const { dev, ino } = statSync(dataDir);
  return `${hostname()}:${dev}:${ino}`;
}
