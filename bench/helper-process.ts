/** A server that the bench starts for one lane: a program in the foreground, ended with the lane. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Watchdog } from '../src/demo/watchdog.ts';

const START_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 5000;
const MAX_LOG_CHARACTERS = 65_536;

export interface HelperOptions {
  readonly program: string;
  readonly args: readonly string[];
  /** Where it listens once it is ready, on 127.0.0.1. */
  readonly port: number;
  readonly user?: { readonly uid: number; readonly gid: number };
  /** Stops it when this process is killed. */
  readonly watchdog: Watchdog;
}

export class HelperProcess implements AsyncDisposable {
  readonly processId: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.processId = child.pid ?? 0;
  }

  /** @throws Error with what the program said, when nothing answers on its port. */
  static async start(options: HelperOptions): Promise<HelperProcess> {
    const child = spawn(options.program, options.args, {
      ...options.user,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-MAX_LOG_CHARACTERS);
    });
    child.once('error', (error) => {
      log += error.message;
    });
    options.watchdog.watch(child, 'SIGTERM');
    const helper = new HelperProcess(child);
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (!(await answers(options.port))) {
      if (performance.now() > deadline || !helper.#isRunning()) {
        await helper[Symbol.asyncDispose]();
        throw new Error(`"${options.program}" did not start: ${log.trim().slice(-1500)}`);
      }
      await sleep(50);
    }
    return helper;
  }

  #isRunning(): boolean {
    return (
      this.#child.pid !== undefined &&
      this.#child.exitCode === null &&
      this.#child.signalCode === null
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isRunning()) {
      const gone = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await gone;
      clearTimeout(timer);
    }
  }
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    // Nothing listens there yet.
    return false;
  } finally {
    socket.destroy();
  }
}
