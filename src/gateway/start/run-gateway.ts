/** A gateway for the life of a process: starts, says so, stops when it is told to. */
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { tuneCollector } from '../../tune-collector.ts';
import { readGatewayConfig } from '../base/config.ts';
import { createLog, errorFields } from '../base/log.ts';
import { type Gateway, type GatewayOptions, startGateway } from './start-gateway.ts';

export interface RunGatewayOptions {
  readonly connectors: GatewayOptions['connectors'];
  readonly searchWorker: URL;
  readonly configFile: string;
  readonly env: NodeJS.ProcessEnv;
  readonly version: string;
  /** Aborted: end all sessions and stop. */
  readonly signal: AbortSignal;
  readonly log: { readonly stream: Writable; readonly json: boolean; readonly verbose: boolean };
  /** Calls the listener each time the configuration shall be read again. @returns ends that */
  readonly onReload: (listener: () => void) => () => void;
  readonly onListening: (gateway: Gateway) => void;
  /** The signal has come, sessions are ending. */
  readonly onStopping: () => void;
}

/** Resolves when everything is closed. @throws HOOP_CONFIG, HOOP_LOCAL_STATE when it cannot start */
export async function runGateway(options: RunGatewayOptions): Promise<void> {
  const { connectors, searchWorker, env, signal, version } = options;
  const { stream, json, verbose } = options.log;
  const log = createLog({ stream, json, level: verbose ? 'debug' : 'info' });
  const config = await readGatewayConfig(options.configFile);
  const started = Promise.withResolvers<Gateway>();
  // Nobody may ever ask.
  started.promise.catch(() => undefined);
  let reloaded: Promise<unknown> = started.promise;
  const release = options.onReload(() => {
    // One after the other: the last word counts.
    reloaded = reloaded
      .then(async () => (await started.promise).reload(await readGatewayConfig(options.configFile)))
      .catch((error: unknown) => log.error('config.reload_failed', errorFields(error)));
  });
  using stack = new DisposableStack();
  stack.defer(release);
  await using gateway = await startGateway(config, {
    ...{ connectors, searchWorker, log, env, signal, version },
  });
  tuneCollector();
  started.resolve(gateway);
  options.onListening(gateway);
  if (!signal.aborted) {
    await once(signal, 'abort');
  }
  log.info('gateway.stopping');
  options.onStopping();
  await gateway.close();
}
