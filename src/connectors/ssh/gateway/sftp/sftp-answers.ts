/** What the client of an sftp channel is told from here, between the packets of the target. */
import type { Refusal } from '../../../../policy/types.ts';
import type { PacketScanner } from '../../protocol/sftp/packet-scanner.ts';
import { refusalText } from '../refusal-text.ts';
import type { SftpRun } from './sftp-run.ts';

/** Each is shown once on stderr: a client that walks a whole tree would flood a terminal. */
const MAX_SHOWN_REFUSALS = 20;

export interface SftpAnswersOptions {
  readonly toClient: SftpRun;
  /** Of what the target says: an answer of ours waits for the end of a packet. */
  readonly down: Pick<PacketScanner, 'isInside'>;
  readonly toStderr: (text: Uint8Array) => void;
}

export class SftpAnswers {
  readonly #options: SftpAnswersOptions;
  readonly #waiting: Uint8Array[] = [];
  readonly #shownRefusals = new Set<string>();

  constructor(options: SftpAnswersOptions) {
    this.#options = options;
  }

  /** Answers that wait. */
  get length(): number {
    return this.#waiting.length;
  }

  send(packet: Uint8Array): void {
    this.#waiting.push(packet);
    this.sendWaiting();
    this.#options.toClient.flush();
  }

  /** As far as the target is between two packets. */
  sendWaiting(): void {
    const { down, toClient } = this.#options;
    while (!down.isInside && this.#waiting.length > 0) {
      const packet = this.#waiting.shift();
      if (packet !== undefined) {
        toClient.write(packet);
      }
    }
  }

  /** For who looks at a terminal: programs show little of a status. */
  showRefusal(refusal: Refusal): void {
    const text = refusalText(refusal, false);
    const key = Buffer.from(text).toString();
    if (this.#shownRefusals.size < MAX_SHOWN_REFUSALS && !this.#shownRefusals.has(key)) {
      this.#shownRefusals.add(key);
      this.#options.toStderr(text);
    }
  }
}
