import type { Watchdog } from '../src/demo/watchdog.ts';

export interface TunnelOptions {
  readonly targetPort: number;
  readonly watchdog: Watchdog;
}

/** One of the tunnels or proxies that hoop is compared with, on loopback. */
export interface Tunnel extends AsyncDisposable {
  /** Local port that leads to the target. */
  readonly port: number;
  /** Processes on the client's side and on the target's; what stands in the middle is there. */
  readonly clientEnd: readonly number[];
  readonly serverEnd: readonly number[];
}
