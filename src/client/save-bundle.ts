import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { GatewayClient } from './gateway-client.ts';

/**
 * Saves the recording of a session that has ended, 0600. One that breaks off leaves no file that
 * looks like a recording.
 * @throws HoopError what the gateway says
 */
export async function saveBundle(
  client: Pick<GatewayClient, 'bundle'>,
  session: string,
  path: string,
  signal: AbortSignal,
): Promise<void> {
  const part = `${path}.part`;
  try {
    const bundle = await client.bundle(session, signal);
    await pipeline(bundle, createWriteStream(part, { mode: 0o600 }), { signal });
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}
