/** What the streams of live sessions have said last: facts that decisions name, and what is held. */
import type { RecordingEvent, StatementFacts } from '../../recording/types.ts';
import type { Decision, Held } from './pending-statement.ts';

interface StreamState {
  /** By their place. */
  readonly facts: (StatementFacts | undefined)[];
  /** Of the message that was held last: one at a time waits on a stream. */
  held: Held | undefined;
}

export class StreamFacts {
  readonly #sessions = new Map<string, Map<number, StreamState>>();

  learn(session: string, event: Extract<RecordingEvent, { type: 'facts' }>): void {
    this.#of(session, event.stream).facts[event.facts] = event;
  }

  hold(session: string, held: Held): void {
    this.#of(session, held.stream).held = held;
  }

  of(session: string, { stream, facts }: Decision): StatementFacts | undefined {
    return facts === undefined ? undefined : this.#sessions.get(session)?.get(stream)?.facts[facts];
  }

  /** @returns the request that the message waited for which ran, or was decided about, there */
  requestAt(session: string, { stream, at }: { readonly stream: number; readonly at: number }) {
    const held = this.#sessions.get(session)?.get(stream)?.held;
    return held?.at === at ? held.request : undefined;
  }

  streamEnded(session: string, stream: number): void {
    this.#sessions.get(session)?.delete(stream);
  }

  sessionEnded(session: string): void {
    this.#sessions.delete(session);
  }

  #of(session: string, stream: number): StreamState {
    let streams = this.#sessions.get(session);
    if (streams === undefined) {
      streams = new Map();
      this.#sessions.set(session, streams);
    }
    let state = streams.get(stream);
    if (state === undefined) {
      state = { facts: [], held: undefined };
      streams.set(stream, state);
    }
    return state;
  }
}
