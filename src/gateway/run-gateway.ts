/** A gateway for the life of a process: starts, says so, stops when it is told to. */
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { limitYoungGeneration } from '../young-generation.ts';
import { readGatewayConfig } from './config.ts';
import { createLog } from './log.ts';
import { type Gateway, startGateway } from './start-gateway.ts';

export interface RunGatewayOptions {
  readonly configFile: string;
  readonly env: NodeJS.ProcessEnv;
  readonly version: string;
  /** Aborted: end all sessions and stop. */
  readonly signal: AbortSignal;
  readonly log: { readonly stream: Writable; readonly json: boolean; readonly verbose: boolean };
  readonly onListening: (gateway: Gateway) => void;
  /** The signal has come, sessions are ending. */
  readonly onStopping: () => void;
}

/** Resolves when everything is closed. @throws HOOP_CONFIG, HOOP_LOCAL_STATE when it cannot start */
export async function runGateway(options: RunGatewayOptions): Promise<void> {
  const { env, signal, version } = options;
  const { stream, json, verbose } = options.log;
  const log = createLog({ stream, json, level: verbose ? 'debug' : 'info' });
  const config = await readGatewayConfig(options.configFile);
  limitYoungGeneration();
  await using gateway = await startGateway(config, { log, env, signal, version });
  options.onListening(gateway);
  if (!signal.aborted) {
    await once(signal, 'abort');
  }
  options.onStopping();
  await gateway.close();
}
