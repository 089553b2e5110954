/**
 * The client's side of what SessionWriter is to the gateway: the streams with their offsets, and in
 * the journal the leaf up to the last byte before that byte goes on. It keeps no content on disk.
 */
import type { KeyObject } from 'node:crypto';
import type { ClientJournal } from '../client/client-journal.ts';
import type { ChunkPlace } from '../formats/chunk.ts';
import { CONTROL_STREAM, type Direction, type StreamOffsets } from '../formats/types.ts';
import { RunningLeaves } from './running-leaves.ts';
import { type TurnWriter, WrittenTurns } from './written-turns.ts';

interface StreamState {
  up: number;
  down: number;
  isOpen: boolean;
}

export interface WitnessWriterOptions {
  readonly journal: ClientJournal;
  readonly saltKey: KeyObject;
  readonly stopped: TurnWriter['stopped'];
  readonly onForwardFailed: TurnWriter['onForwardFailed'];
}

export class WitnessWriter {
  readonly #journal: ClientJournal;
  readonly #leaves: RunningLeaves;
  /** How what depends on the record goes on. */
  readonly turns: WrittenTurns;
  readonly #streams = new Map<number, StreamState>([[CONTROL_STREAM, newStream()]]);
  #openStreams = 0;

  constructor({ journal, saltKey, stopped, onForwardFailed }: WitnessWriterOptions) {
    this.#journal = journal;
    this.#leaves = new RunningLeaves(saltKey);
    this.turns = new WrittenTurns({
      isEmpty: () => !this.#leaves.hasMoved,
      write: () => this.#journal.leaves(this.#leaves.points(this.#journal.epoch)),
      onWriteFailed: (error) => this.#journal.fail(error),
      assertOpen: () => this.#journal.assertOpen(),
      isShared: () => this.#openStreams > 1,
      settle: () => undefined,
      stopped,
      onForwardFailed,
    });
  }

  openStream(stream: number): void {
    this.#journal.assertOpen();
    if (this.#streams.has(stream)) {
      throw new TypeError(`stream ${stream} was used before`);
    }
    this.#streams.set(stream, newStream());
    this.#openStreams += 1;
  }

  /** @returns its totals */
  closeStream(stream: number): StreamOffsets {
    this.#journal.assertOpen();
    const state = this.#state(stream);
    state.isOpen = false;
    this.#openStreams -= 1;
    this.#leaves.close(stream);
    return { stream, up: state.up, down: state.down };
  }

  /** Of all streams there were, by number. */
  allOffsets(): StreamOffsets[] {
    return [...this.#streams]
      .sort(([left], [right]) => left - right)
      .map(([stream, { up, down }]) => ({ stream, up, down }));
  }

  /** @param parts one behind the other; they may change afterwards. @returns their length */
  data(stream: number, direction: Direction, parts: readonly Uint8Array[]): number {
    const state = this.#state(stream);
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    if (length === 0) {
      return 0;
    }
    this.#journal.assertOpen();
    if (direction === 0) {
      state.up += length;
    } else {
      state.down += length;
    }
    this.#leaves.add(stream, direction, parts);
    this.turns.goOnAtTurnEnd();
    return length;
  }

  leaves(places: readonly ChunkPlace[]): Uint8Array {
    return this.#leaves.leaves(places);
  }

  /** Of what no agreed cut covers. @throws RangeError */
  bytes(stream: number, direction: Direction, from: number, to: number): Uint8Array[] {
    return this.#leaves.bytes(stream, direction, from, to);
  }

  /** In one step with the last `data`: what comes afterwards is of the next cut. */
  propose(cut: Uint8Array, streams: readonly StreamOffsets[], leaves: Uint8Array): void {
    this.#leaves.cutAt(streams);
    this.#journal.propose(cut, leaves, this.#leaves.points(this.#journal.epoch + 1));
  }

  agree(cut: Uint8Array, streams: readonly StreamOffsets[]): void {
    this.#journal.agree(cut);
    this.#leaves.forget(streams);
  }

  sync(): Promise<void> {
    this.turns.goOn();
    return this.#journal.sync();
  }

  /** See `ClientJournal`. @throws SpoolInUse */
  claimProposed(): void {
    this.#journal.claimProposed();
  }

  /** Does not throw: what failed has been reported. What is in memory stays there. */
  async close(): Promise<void> {
    this.turns.stop();
    try {
      // What goes on may record more.
      do {
        this.turns.goOn();
      } while (this.#leaves.hasMoved);
    } catch {
      // Reported to the journal's owner; what can be closed is closed.
    }
    await this.#journal.close();
  }

  #state(stream: number): StreamState {
    const state = this.#streams.get(stream);
    if (state === undefined || !state.isOpen) {
      throw new TypeError(`stream ${stream} is not open`);
    }
    return state;
  }
}

function newStream(): StreamState {
  return { up: 0, down: 0, isOpen: true };
}
