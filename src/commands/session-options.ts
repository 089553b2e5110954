/** What every command that opens sessions says of itself and of where it runs. */
import { packageVersion } from '../package-version.ts';
import type { Io } from './io.ts';

export function sessionOptions({ env, signal }: Io): {
  readonly version: string;
  readonly env: NodeJS.ProcessEnv;
  readonly carrier: 'websocket' | 'auto';
  readonly signal: AbortSignal;
} {
  const carrier = env['HOOP_CARRIER'] === 'websocket' ? 'websocket' : 'auto';
  return { version: packageVersion(), env, carrier, signal };
}
