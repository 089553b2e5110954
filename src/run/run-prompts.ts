/**
 * The prompt in force in a run: in every session that is open, and first thing in each that comes.
 * One at a time, so that they come in the same order everywhere.
 */
import { HoopError } from '../errors.ts';
import type { PromptWords } from '../recording/formats/prompt.ts';
import type { ClientSession } from '../tunnel/connect-session.ts';
import type { Run } from './run.ts';

export class RunPrompts {
  readonly #run: Pick<Run, 'sessions' | 'beforeEachSession'>;
  readonly #closing = new AbortController();
  #current: PromptWords | undefined;
  #hasChanged = false;
  #last: Promise<unknown> = Promise.resolve();

  /** @param initial in force from the start */
  constructor(run: Pick<Run, 'sessions' | 'beforeEachSession'>, initial: PromptWords | undefined) {
    this.#run = run;
    this.#current = initial;
    run.beforeEachSession(async (session) => {
      if (this.#current !== undefined) {
        await this.#tell(session, this.#current);
      }
    });
  }

  get current(): PromptWords | undefined {
    return this.#current;
  }

  /** Whether there was another one than the initial one: a hook or `hoop prompt` told it. */
  get hasChanged(): boolean {
    return this.#hasChanged;
  }

  /**
   * Resolves when the gateway has recorded it in every open session.
   * @returns how many these are
   * @throws HoopError HOOP_LIMIT
   */
  set(words: PromptWords): Promise<number> {
    const done = this.#last.then(() => this.#set(words));
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** Nothing is waited for any longer. */
  close(): void {
    this.#closing.abort(new HoopError('HOOP_SESSION_ENDED', 'the run has ended'));
  }

  async #set(words: PromptWords): Promise<number> {
    this.#closing.signal.throwIfAborted();
    // Before anything is awaited: a session that is opened meanwhile begins with it.
    this.#current = words;
    this.#hasChanged = true;
    const sessions = await this.#run.sessions();
    // All of them, also where one has no room: when this is answered no session has another in force.
    const told = await Promise.allSettled(sessions.map((session) => this.#tell(session, words)));
    const failed = told.find((one) => one.status === 'rejected');
    if (failed !== undefined) {
      throw failed.reason;
    }
    return sessions.length;
  }

  async #tell(session: ClientSession, words: PromptWords): Promise<void> {
    try {
      await session.setPrompt(words, this.#closing.signal);
    } catch (error) {
      // Nothing runs in a session that has ended, and the next one begins with the prompt.
      if (!(error instanceof HoopError && error.code === 'HOOP_SESSION_ENDED')) {
        throw error;
      }
    }
  }
}
