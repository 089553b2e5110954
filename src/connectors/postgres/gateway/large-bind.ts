/**
 * A Bind that is too large to be collected. Its names come first, and with them it is decided; then
 * its values pass as they come, and the formats at its end are picked up on the way.
 */
import { HoopError } from '../../../errors.ts';
import { PlaceholderScanner } from '../../../policy/placeholders.ts';
import { BindWalker } from '../protocol/bind-walker.ts';
import { decodeBindNames } from '../protocol/frontend-messages.ts';
import type { KnownStatement } from './known-statement.ts';
import { mustShowValues, type PortalSide } from './portal-side.ts';
import type { Refusals } from './refusals.ts';
import type { StreamState } from './stream-state.ts';

/** For its header and two names, of which the server keeps 63 bytes each. */
const MAX_NAMES_LENGTH = 64 * 1024;
const HEADER_LENGTH = 5;

type Names = ReturnType<typeof decodeBindNames>;

export class LargeBind {
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
    const known = await this.#portals.statementFor(names.statement, this.#at);
    if (known === undefined) return;
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
