/** `hoop gateway start`: a gateway for the life of a process. */
import { once } from 'node:events';
import { resolve } from 'node:path';
import type { Io } from '../commands/io.ts';
import { readGatewayConfig } from './config.ts';
import { createLog } from './log.ts';
import { startGateway } from './start-gateway.ts';

export interface RunGatewayOptions {
  readonly configFile: string;
  readonly json: boolean;
  readonly verbose: boolean;
  readonly version: string;
}

export async function runGateway(io: Io, options: RunGatewayOptions): Promise<void> {
  const log = createLog({
    stream: io.stderr,
    json: options.json || io.stderr.isTTY !== true,
    level: options.verbose ? 'debug' : 'info',
  });
  const config = await readGatewayConfig(resolve(io.cwd, options.configFile));
  await using gateway = await startGateway(config, {
    log,
    env: io.env,
    signal: io.signal,
    version: options.version,
  });
  const { url, name, rootKeyFingerprint, firstStart } = gateway;
  if (options.json) {
    const event = {
      event: 'listening',
      v: 1,
      url,
      gateway: name,
      rootKeyFingerprint,
      firstStart,
    };
    io.stdout.write(`${JSON.stringify(event)}\n`);
  } else {
    io.note(`gateway "${name}" listens on ${url}`);
    io.note(
      firstStart
        ? `new root key, give this to your users: ${rootKeyFingerprint}`
        : `root key ${rootKeyFingerprint}`,
    );
  }
  if (!io.signal.aborted) {
    await once(io.signal, 'abort');
  }
  io.note('ending all sessions; once more to stop at once');
  await gateway.close();
}
