/**
 * A small process beside the demo that outlives it. PostgreSQL and the gateway have process groups
 * of their own, so that Ctrl-C does not reach them before their users are done; without this they
 * would run for ever when the demo itself is killed (SIGKILL, out of memory).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';

export const WatchdogLine = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('process'),
    id: z.number().int().min(2),
    signal: z.enum(['SIGINT', 'SIGTERM']),
  }),
  z.object({ type: z.literal('ended'), id: z.number().int() }),
  /** Made by the demo; goes when the processes have ended. */
  z.object({ type: z.literal('directory'), path: z.string().min(1) }),
]);
type WatchdogLine = z.infer<typeof WatchdogLine>;

export class Watchdog implements AsyncDisposable {
  readonly #child: ChildProcess;

  constructor() {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const file = fileURLToPath(new URL(`./watchdog-process.${extension}`, import.meta.url));
    this.#child = spawn(process.execPath, [file], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
      cwd: '/',
    });
    // Without it the demo works all the same, only not when it is killed.
    this.#child.on('error', () => undefined);
    this.#child.stdin?.on('error', () => undefined);
  }

  /** Sees to this child until it ends. */
  watch(child: ChildProcess, signal: 'SIGINT' | 'SIGTERM'): void {
    const id = child.pid;
    if (id === undefined) {
      return;
    }
    this.#tell({ type: 'process', id, signal });
    child.once('exit', () => this.#tell({ type: 'ended', id }));
  }

  watchDirectory(path: string): void {
    this.#tell({ type: 'directory', path });
  }

  #tell(line: WatchdogLine): void {
    this.#child.stdin?.write(`${JSON.stringify(line)}\n`);
  }

  /** The demo has ended everything itself: there is nothing left to see to. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await ended;
    }
  }
}
