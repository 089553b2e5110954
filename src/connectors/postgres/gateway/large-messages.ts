/** Messages that are not collected: the values of a Bind pass, anything else is refused. */
import { UndecodableText } from '../protocol/malformed-message.ts';
import { FRONTEND } from '../protocol/message-types.ts';
import { deniedQuery } from './denial.ts';
import { LargeBind } from './large-bind.ts';
import { refusedEntry } from './malformed.ts';
import type { MisplacedMessages } from './misplaced-messages.ts';
import type { PassingPart } from './passing-messages.ts';
import type { PortalSide } from './portal-side.ts';
import type { Refusals } from './refusals.ts';
import type { StreamState } from './stream-state.ts';

/** The values of a Bind need not be collected, and above this they are not. */
const MAX_COLLECTED_BIND = 1024 * 1024;

/**
 * @param bodyLength bytes.
 * @param limit bytes of the longest message that is collected.
 */
export function mustPass(type: number, bodyLength: number, limit: number): boolean {
  return bodyLength > (type === FRONTEND.Bind ? Math.min(MAX_COLLECTED_BIND, limit) : limit);
}

export class LargeMessages {
  readonly #state: StreamState;
  readonly #portals: PortalSide;
  readonly #refusals: Refusals;
  readonly #misplaced: MisplacedMessages;
  /** The Bind that is passing; undefined: what comes is dropped. */
  #bind: LargeBind | undefined;

  constructor(
    state: StreamState,
    parts: {
      readonly portals: PortalSide;
      readonly refusals: Refusals;
      readonly misplaced: MisplacedMessages;
    },
  ) {
    this.#state = state;
    this.#portals = parts.portals;
    this.#refusals = parts.refusals;
    this.#misplaced = parts.misplaced;
  }

  /** Of a message that is not collected: the values of a Bind pass, anything else is refused. */
  async part({ type, bytes, bodyLength, isFirst, isLast }: PassingPart, at: number): Promise<void> {
    const state = this.#state;
    if (isFirst) {
      this.#bind = undefined;
      // Once begun it passes piece by piece, and nothing of the gateway's own may come in between.
      if (state.trials.isOpen) await state.trials.settled();
      if ((await this.#misplaced.isSpent(type)) || state.skipping) return;
      if (type === FRONTEND.Bind)
        this.#bind = new LargeBind(state, this.#portals, this.#refusals, at);
      else this.#tooLarge(type, bodyLength, at);
    }
    try {
      await this.#bind?.part(bytes, isLast);
    } catch (error) {
      if (!(error instanceof UndecodableText)) throw error;
      this.#bind = undefined;
      this.#portals.deny(this.#refusals.undecodable());
    }
  }

  #tooLarge(type: number, bodyLength: number, at: number): void {
    const state = this.#state;
    const denial = this.#refusals.tooLarge(at, bodyLength);
    if (type !== FRONTEND.Query) return void this.#portals.deny(denial);
    const entry = { ...refusedEntry(type), origin: 'client', segment: state.segment } as const;
    state.send(deniedQuery(denial), { ...entry, denial });
  }
}
