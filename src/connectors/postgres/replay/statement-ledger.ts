/**
 * Brings together what the bytes of one connection say about a statement and what the gateway
 * wrote about it beside: decisions and counts, tied by the offset of a message in the up stream.
 */
import type { RecordingEvent } from '../../../recording/formats/types.ts';
import { decisionOf } from '../../../replay/operation-entry.ts';
import { MAX_HELD, MAX_NAMES } from '../../../replay/replay-limits.ts';
import type { ApprovalStep, Decision, Statement } from '../../../replay/timeline.ts';
import type { OpenStatement } from './open-statement.ts';

export class StatementLedger {
  readonly #emit: (statement: Statement) => void;
  /** By offset, until the statement that it is about ends. */
  readonly #decisions = new Map<number, Decision[]>();
  /** Statements that wait for the gateway's count, by each offset that it may be tied to. */
  readonly #waiting = new Map<number, Set<OpenStatement>>();
  /** Those of them that have ended, oldest first. */
  #held: OpenStatement[] = [];

  constructor(emit: (statement: Statement) => void) {
    this.#emit = emit;
  }

  begin(statement: OpenStatement): void {
    for (const offset of statement.offsets) {
      const others = this.#waiting.get(offset);
      if (others) {
        others.add(statement);
      } else {
        this.#waiting.set(offset, new Set([statement]));
      }
    }
  }

  decision(event: Extract<RecordingEvent, { type: 'decision' }>): void {
    const { at } = event;
    const decision = decisionOf(event);
    const known = this.#decisions.get(at);
    if (known) {
      known.push(decision);
      return;
    }
    if (this.#decisions.size >= MAX_NAMES) {
      // Never claimed by a statement: not from an honest gateway.
      this.#decisions.clear();
    }
    this.#decisions.set(at, [decision]);
  }

  /** @returns the number of the statement that shows it; undefined: there is none. */
  approval(at: number, step: ApprovalStep): number | undefined {
    const [statement] = this.#waiting.get(at) ?? [];
    return statement?.approval(step) ? statement.number : undefined;
  }

  /** Comes before the answer to the message that is counted. */
  lookups({ at, candidates, left }: Extract<RecordingEvent, { type: 'lookups' }>): void {
    const [statement] = this.#waiting.get(at) ?? [];
    if (statement) {
      statement.lookups = { candidates, left };
    }
  }

  result(event: Extract<RecordingEvent, { type: 'result' }>): void {
    const { rows, maskedValues, detected } = event;
    const statement = this.#waiting
      .get(event.at)
      ?.values()
      .find(({ takesCount }) => takesCount);
    if (!statement) {
      return;
    }
    statement.facts.push({ rows, maskedValues, detected });
    this.#release();
  }

  /** The answer is complete; the gateway's count may come a moment later. */
  finish(statement: OpenStatement): void {
    this.#held.push(statement);
    this.#release();
  }

  /** In order: what is counted, or has nothing to count, or is older than something counted. */
  #release(): void {
    const last = this.#held.findLastIndex(({ isCounted }) => isCounted);
    let released = Math.max(last + 1, this.#held.length - MAX_HELD);
    for (let next = this.#held[released]; next?.needsNoCount; next = this.#held[released]) {
      released += 1;
    }
    for (const statement of this.#held.splice(0, released)) {
      this.#show(statement);
    }
  }

  end(): void {
    for (const statement of this.#held) {
      this.#show(statement);
    }
    this.#held = [];
  }

  #show(statement: OpenStatement): void {
    const { prepared } = statement;
    if (prepared) {
      const atParse = this.#take(prepared.at);
      prepared.decisions = atParse.length > 0 ? atParse : prepared.decisions;
    }
    let own: readonly Decision[] = [];
    for (const offset of statement.offsets) {
      if (offset !== prepared?.at) {
        const decisions = this.#take(offset);
        own = decisions.length > 0 ? decisions : own;
      }
      this.#forget(offset, statement);
    }
    this.#emit(statement.finish(own));
  }

  #take(offset: number): readonly Decision[] {
    const decisions = this.#decisions.get(offset) ?? [];
    this.#decisions.delete(offset);
    return decisions;
  }

  #forget(offset: number, statement: OpenStatement): void {
    const waiting = this.#waiting.get(offset);
    waiting?.delete(statement);
    if (waiting?.size === 0) {
      this.#waiting.delete(offset);
    }
  }
}
