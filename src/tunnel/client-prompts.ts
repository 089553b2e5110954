/**
 * The prompts of one session, the client's end: a line each on stream 0, journalled before it
 * leaves. Whoever sets one waits until the gateway has it on its disk, and so in force: a
 * statement goes another way through the tunnel and could overtake it.
 */
import { HoopError } from '../errors.ts';
import { redactedText } from '../masking/redacted-text.ts';
import type { ClientRecording } from '../recording/client/client-recording.ts';
import {
  EVIDENCE_MESSAGE_BYTES,
  limitLine,
  MAX_CLIENT_EVIDENCE_BYTES,
  type PromptLine,
  type PromptWords,
  promptLine,
} from '../recording/formats/prompt.ts';
import { CONTROL_STREAM, UP } from '../recording/formats/types.ts';
import { untilAborted } from '../until.ts';

/** From here on prompts are recorded without their text; thousands of these still fit. */
const TEXT_BUDGET_BYTES = MAX_CLIENT_EVIDENCE_BYTES / 2;

export interface ClientPromptsOptions {
  readonly recording: Pick<ClientRecording, 'data'> & {
    readonly turns: Pick<ClientRecording['turns'], 'flush'>;
  };
  /** Of the policy: what they find is taken out before a prompt is recorded here or sent. */
  readonly detectors: readonly string[];
  /** One binary message on the control channel. @returns false: nothing can be said any more. */
  readonly send: (bytes: Uint8Array) => boolean;
}

interface Sent {
  /** Offset in the up stream of stream 0 behind its line. */
  readonly end: number;
  readonly recorded: PromiseWithResolvers<void>;
}

export class ClientPrompts {
  readonly #options: ClientPromptsOptions;
  readonly #sent = new Map<string, Sent>();
  /** Those of them that are not recorded yet, in order. */
  #unrecorded: Sent[] = [];
  /** Bytes of stream 0 that were sent. */
  #up = 0;
  #spent = 0;
  #ended: HoopError | undefined;
  /** There was a prompt that had no room, and the recording says so. */
  #full: Sent | undefined;

  constructor(options: ClientPromptsOptions) {
    this.#options = options;
  }

  /**
   * A prompt that was set before is not sent again: an id is good once. Where there is no room for
   * it, the one before is no longer in force when this rejects.
   * @throws HoopError HOOP_LIMIT, HOOP_SESSION_ENDED
   */
  async set(words: PromptWords, signal: AbortSignal): Promise<void> {
    const sent = this.#sent.get(words.id) ?? this.#send(words);
    await untilAborted(sent.recorded.promise, signal);
    if (sent === this.#full) {
      throw new HoopError('HOOP_LIMIT', 'the session cannot record any more prompts', {
        detail: `Prompts take up to ${MAX_CLIENT_EVIDENCE_BYTES >> 20} MiB of a session's recording. From here on it shows that no prompt is in force.`,
        hint: 'End the session and open a new one.',
      });
    }
  }

  /** The gateway has these up bytes on its disk. */
  recorded(streams: readonly { readonly stream: number; readonly up: number }[]): void {
    const up = streams.find(({ stream }) => stream === CONTROL_STREAM)?.up;
    while (up !== undefined && this.#unrecorded[0] !== undefined && this.#unrecorded[0].end <= up) {
      this.#unrecorded.shift()?.recorded.resolve();
    }
  }

  /** Nothing is recorded any more. */
  close(why: string): void {
    this.#ended ??= new HoopError('HOOP_SESSION_ENDED', why);
    for (const { recorded } of this.#unrecorded) {
      recorded.reject(this.#ended);
    }
  }

  #send(words: PromptWords): Sent {
    if (this.#ended !== undefined) {
      throw this.#ended;
    }
    const line = this.#full === undefined ? this.#line(words) : undefined;
    if (line !== undefined) {
      const sent = this.#sendLine(line);
      this.#sent.set(words.id, sent);
      return sent;
    }
    this.#full ??= this.#sendLine(encode(limitLine(words.sentMs)));
    return this.#full;
  }

  #sendLine(bytes: Buffer): Sent {
    const { recording, send } = this.#options;
    recording.data(CONTROL_STREAM, UP, [bytes]);
    recording.turns.flush();
    this.#up += bytes.length;
    this.#spent += EVIDENCE_MESSAGE_BYTES + bytes.length;
    const sent: Sent = { end: this.#up, recorded: Promise.withResolvers() };
    // Who waits gets the rejection; nobody may be waiting any more.
    sent.recorded.promise.catch(() => undefined);
    this.#unrecorded.push(sent);
    if (!send(bytes)) {
      sent.recorded.reject(
        new HoopError('HOOP_SESSION_ENDED', 'the connection to the gateway was lost'),
      );
    }
    return sent;
  }

  /** @returns undefined: there is no room but for saying so */
  #line(said: PromptWords): Buffer | undefined {
    // First: length and digest are those of what is recorded.
    const text = said.whole === undefined ? said.text : withoutLastWord(said.text);
    const words = { ...said, text: redactedText(text, this.#options.detectors) };
    const whole = encode(promptLine(words));
    if (this.#spent + whole.length <= TEXT_BUDGET_BYTES) {
      return whole;
    }
    const bare = encode(promptLine(words, 0));
    const last = encode(limitLine(words.sentMs));
    const after = this.#spent + 2 * EVIDENCE_MESSAGE_BYTES + bare.length + last.length;
    return after > MAX_CLIENT_EVIDENCE_BYTES ? undefined : bare;
  }
}

function encode(line: PromptLine): Buffer {
  return Buffer.from(`${JSON.stringify(line)}\n`);
}

/** Where only the beginning has come here, its end may be half of a secret, which no detector knows. */
function withoutLastWord(text: string): string {
  return text.slice(0, Math.max(...[' ', '\n', '\t'].map((space) => text.lastIndexOf(space))) + 1);
}
