/** Data of COPY … FROM STDIN on its way to the target. */
import { refusePlaceholder } from '../../policy/verdict/evaluate-placeholders.ts';
import { encodeCopyFail } from '../../protocol/frontend-messages.ts';
import type { Refusals } from '../refusals/refusals.ts';
import { runOf } from '../statements/confirmations.ts';
import type { StreamState } from '../wire/stream-state.ts';

/**
 * Passes data on, until there is something in it that masks have put in the place of a value. Then
 * the message in hand is sent to its end, because the target counts its bytes, and CopyFail behind it:
 * nothing of the COPY is kept. The target ignores what the client still sends of it; here it ends.
 */
export class CopyIn {
  readonly #state: StreamState;
  readonly #refusals: Refusals;
  /** What was found in a message that has not come whole. */
  #found: string | undefined;

  constructor(state: StreamState, refusals: Refusals) {
    this.#state = state;
    this.#refusals = refusals;
  }

  /** @param isEnd a message ends with these bytes. */
  data(bytes: Uint8Array, isEnd: boolean): void {
    const { copy } = this.#state;
    if (copy.isRefused) return;
    const hit = this.#found === undefined ? copy.search(bytes) : undefined;
    this.#found ??= hit?.placeholder;
    if (this.#found === undefined) {
      this.#state.sendData(bytes);
      return;
    }
    const end = hit?.end ?? (isEnd ? bytes.length : undefined);
    this.#state.sendData(bytes.subarray(0, end));
    if (end !== undefined) this.#fail(this.#found);
  }

  #fail(placeholder: string): void {
    const { copy, options } = this.#state;
    this.#found = undefined;
    const run = runOf(copy.entry);
    const refusal = refusePlaceholder(placeholder, options.grant());
    if (run === undefined || refusal === undefined) return;
    const denial = this.#refusals.withheld(run, refusal);
    copy.refuse(denial);
    this.#state.sendData(encodeCopyFail({ message: denial.nonce }));
  }
}
