/**
 * What nodes of one store hear of each other. Whoever changes something counts it in the same
 * transaction; others see the count rise and read the state anew. There is no list of changes, so none
 * can be missed or come in another order. Each second the counts are read; a notification only makes it
 * sooner. A store that is not shared has nobody to tell.
 */
import { errorFields, type Log } from '../base/log.ts';
import { change, integer, type Store, sql, text, type Work } from '../store/store.ts';
import { isStoreFault } from '../store/store-watch.ts';

/** In this order: why a session was ended is its reason, and not that its login has ended with it. */
const TOPICS = ['commands', 'blocks', 'grants', 'approvals', 'logins', 'policy'] as const;
export type NodeTopic = (typeof TOPICS)[number];

/** As its last step, or two transactions may wait for each other. */
export function* tellNodes(topic: NodeTopic): Work<void> {
  yield* change(COUNT, { topic });
}

const COUNT = sql('SELECT 1', 'UPDATE change_counts SET count = count + 1 WHERE topic = $topic');
const COUNTS = sql('SELECT topic, count FROM change_counts');

const POLL_MS = 1000;

export type HeardChange = () => Promise<void> | void;

export class NodeChanges implements AsyncDisposable {
  readonly #store: Store;
  readonly #log: Log;
  readonly #listeners = new Map<NodeTopic, HeardChange[]>();
  /** What was acted on. */
  #seen = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;

  private constructor(store: Store, log: Log) {
    this.#store = store;
    this.#log = log;
  }

  /** To be opened before what it tells of is read: what changes in between is heard of. */
  static async open(store: Store, log: Log): Promise<NodeChanges> {
    const changes = new NodeChanges(store, log);
    if (store.isShared) changes.#seen = await changes.#counts();
    return changes;
  }

  on(topic: NodeTopic, listener: HeardChange): void {
    this.#listeners.set(topic, [...(this.#listeners.get(topic) ?? []), listener]);
  }

  /** When all that listen are there. */
  start(): void {
    if (!this.#store.isShared) return;
    this.#timer = setInterval(() => void this.look(), POLL_MS);
    this.#timer.unref();
  }

  /** Never rejects: what could not be read, or acted on, is looked at again. */
  look(): Promise<void> {
    if (!this.#store.isShared) return Promise.resolve();
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<void> {
    try {
      const counts = await this.#counts();
      for (const topic of TOPICS) await this.#act(topic, counts.get(topic) ?? 0);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** What cannot be acted on is asked for again, and keeps nothing else from being heard. */
  async #act(topic: NodeTopic, count: number): Promise<void> {
    if (this.#seen.get(topic) === count) return;
    try {
      for (const listener of this.#listeners.get(topic) ?? []) await listener();
      this.#seen.set(topic, count);
    } catch (error) {
      this.#failed(error, topic);
    }
  }

  /** That the store is away is in the log already, and would be here each second. */
  #failed(error: unknown, topic?: NodeTopic): void {
    if (!isStoreFault(error))
      this.#log.warn('node.changes_failed', { topic, ...errorFields(error) });
  }

  async #counts(): Promise<Map<string, number>> {
    const rows = await this.#store.all(COUNTS);
    return new Map(rows.map((row) => [text(row['topic']), integer(row['count'])]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }
}
