/** Keeps the connection to a target fresh: new keys after so much or so long, and a sign of life. */
import type { Socket } from 'node:net';
import type { Ssh2Protocol } from './ssh2-protocol.ts';
import type { SshStreamLimits } from './types.ts';

export interface TargetWatchOptions {
  readonly socket: Socket;
  readonly protocol: Pick<Ssh2Protocol, 'rekey' | 'ping'>;
  readonly limits: Pick<SshStreamLimits, 'keepAliveMs' | 'rekeyBytes' | 'rekeyMs'>;
  /** Nothing was heard for too long. */
  readonly onSilent: () => void;
}

/** Questions without an answer; then it is gone. */
const MAX_UNANSWERED = 3;

export class TargetWatch implements Disposable {
  readonly #options: TargetWatchOptions;
  readonly #keepAlive: NodeJS.Timeout;
  readonly #rekey: NodeJS.Timeout;
  #bytes = 0;
  #heard = 0;
  #unanswered = 0;

  constructor(options: TargetWatchOptions) {
    const { limits, protocol } = options;
    this.#options = options;
    this.#keepAlive = setInterval(() => this.#look(), limits.keepAliveMs);
    // ssh2 exchanges keys when the server wants to, and never by itself.
    this.#rekey = setInterval(() => protocol.rekey(), limits.rekeyMs);
  }

  /** So many bytes went there or came from there. */
  passed(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes >= this.#options.limits.rekeyBytes) {
      this.#bytes = 0;
      this.#rekey.refresh();
      this.#options.protocol.rekey();
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#keepAlive);
    clearInterval(this.#rekey);
  }

  #look(): void {
    const { socket, protocol, onSilent } = this.#options;
    if (socket.bytesRead !== this.#heard || socket.isPaused()) {
      // Paused: the client reads slowly, and what the target says waits in the kernel.
      this.#heard = socket.bytesRead;
      this.#unanswered = 0;
    } else if (this.#unanswered >= MAX_UNANSWERED) {
      onSilent();
    } else {
      this.#unanswered += 1;
      protocol.ping();
    }
  }
}
