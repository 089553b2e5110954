/** Somebody who works while others send nasty texts: in a thread, so that nobody here holds it up. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import pg from 'pg';

const THINK_MS = 20;

export interface Wait {
  readonly ms: number;
  readonly during: string;
}

interface Report {
  readonly waits: readonly Wait[];
  readonly failure: string | undefined;
}

export class OtherUser {
  readonly #worker: Worker;

  constructor(url: string) {
    this.#worker = new Worker(new URL(import.meta.url), { workerData: url });
  }

  /** What goes on from now on. @returns what it has waited for until now */
  async during(what: string | undefined): Promise<Report> {
    const { promise, resolve } = Promise.withResolvers<Report>();
    this.#worker.once('message', resolve);
    this.#worker.postMessage(what);
    return await promise;
  }

  /** @returns as `during` */
  async stop(): Promise<Report> {
    const report = await this.during(undefined);
    await this.#worker.terminate();
    return report;
  }
}

if (!isMainThread && parentPort !== null) {
  const parent = parentPort;
  let during = 'nothing';
  let failure: string | undefined;
  let waits: Wait[] = [];
  let isOver = false;
  const work = async (url: string): Promise<void> => {
    const client = new pg.Client({ connectionString: url });
    client.on('error', (error) => {
      failure = error.message;
    });
    await client.connect();
    for (let turn = 0; !isOver; turn += 1) {
      const meanwhile = during;
      const from = performance.now();
      // A text of its own each time: it is parsed and judged, not found.
      await client.query(`SELECT ${turn} AS turn, 'x${turn}' AS word`);
      waits.push({ ms: performance.now() - from, during: meanwhile });
      await sleep(THINK_MS);
    }
    await client.end();
  };
  const done = work(String(workerData)).catch((error: unknown) => {
    failure = String(error);
  });
  parent.on('message', async (what: string | undefined) => {
    during = what ?? during;
    isOver = what === undefined;
    if (isOver) await done;
    const report: Report = { waits, failure };
    waits = [];
    parent.postMessage(report);
  });
}
