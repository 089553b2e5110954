/** Messages that are not collected: the values of a Bind pass, anything else is refused. */

import { HoopError } from '../../../../errors.ts';
import { PlaceholderScanner } from '../../../../policy/placeholders.ts';
import { BindWalker } from '../../protocol/bind-walker.ts';
import { decodeBindNames } from '../../protocol/frontend-messages.ts';
import { UndecodableText } from '../../protocol/malformed-message.ts';
import { FRONTEND } from '../../protocol/message-types.ts';
import { deniedQuery } from '../refusals/denial.ts';
import type { Refusals } from '../refusals/refusals.ts';
import { needsSettings } from '../statements/bound-settings.ts';
import type { KnownStatement } from '../statements/known-statement.ts';
import { mustShowValues, type PortalSide } from '../statements/portal-side.ts';
import { refusedEntry } from './malformed.ts';
import type { MisplacedMessages } from './misplaced-messages.ts';
import type { PassingPart } from './passing-messages.ts';
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

// A Bind that is too large to be collected. Its names come first, and with them it is decided; then
// its values pass as they come, and the formats at its end are picked up on the way.

/** For its header and two names, of which the server keeps 63 bytes each. */
const MAX_NAMES_LENGTH = 64 * 1024;
const HEADER_LENGTH = 5;

type Names = ReturnType<typeof decodeBindNames>;

class LargeBind {
  readonly #state: StreamState;
  readonly #portals: PortalSide;
  readonly #refusals: Refusals;
  readonly #at: number;
  readonly #walker = new BindWalker();
  /** Until both names are complete. */
  #head: Uint8Array | undefined = new Uint8Array(0);
  readonly #scanner = new PlaceholderScanner();
  #found: string | undefined;
  #bound: (Names & { readonly known: KnownStatement }) | undefined;

  /** @param at byte offset of the message in the up stream. */
  constructor(state: StreamState, portals: PortalSide, refusals: Refusals, at: number) {
    this.#state = state;
    this.#portals = portals;
    this.#refusals = refusals;
    this.#at = at;
  }

  /**
   * @throws UndecodableText when a name is no text; MalformedMessage when the server will refuse it
   *   too; HoopError HOOP_TOO_LARGE.
   */
  async part(bytes: Uint8Array, isLast: boolean): Promise<void> {
    if (this.#head === undefined) return this.#pass(bytes, bytes, isLast);
    const head = Buffer.concat([this.#head, bytes]);
    const name = head.indexOf(0, HEADER_LENGTH);
    const end = name === -1 ? -1 : head.indexOf(0, name + 1);
    this.#head = end === -1 ? head : undefined;
    if (head.length > MAX_NAMES_LENGTH && end === -1) {
      throw new HoopError('HOOP_TOO_LARGE', 'the names in a Bind are too long');
    }
    if (end === -1) return;
    const names = decodeBindNames(head.subarray(HEADER_LENGTH, end + 1), this.#state.codec);
    const known = await this.#portals.statementFor(names, this.#at);
    if (known === undefined) return;
    if (needsSettings(known.allowed)) {
      return this.#portals.deny(this.#refusals.tooLargeForSettings(this.#at));
    }
    if (mustShowValues(known)) return this.#portals.deny(this.#refusals.tooLargeToShow(this.#at));
    this.#bound = { ...names, known };
    this.#pass(head, head.subarray(end + 1), isLast);
  }

  /** Once begun it is sent to its end, even if it will be skipped: the target counts its bytes. */
  #pass(bytes: Uint8Array, behindNames: Uint8Array, isLast: boolean): void {
    if (this.#bound === undefined) return;
    this.#walker.feed(behindNames);
    this.#search(behindNames);
    if (!isLast) {
      this.#state.toTarget.push(bytes);
      return;
    }
    this.#walker.end();
    if (this.#state.skipping) {
      this.#state.toTarget.push(bytes);
      return;
    }
    const { portal, known } = this.#bound;
    this.#portals.bound(bytes, {
      name: portal,
      known,
      formats: this.#walker.resultFormats,
      values: undefined,
    });
    this.#portals.refusesWriteBack(this.#found, this.#at, known);
  }

  /** For what masks have put in the place of values; its bytes come in parts. */
  #search(bytes: Uint8Array): void {
    if (this.#bound === undefined || !this.#portals.writesBack(this.#bound.known)) return;
    this.#found ??= this.#scanner.search(bytes);
  }
}
