import { joinViews } from '../../../../join-views.ts';

/** Joins neighbouring views on their way to one side, so that a chunk that passes is one write. */
export class SftpRun {
  readonly #send: (bytes: Uint8Array) => boolean;
  #run: Uint8Array | undefined;
  /** Until the owner resets it. */
  isFull = false;

  constructor(send: (bytes: Uint8Array) => boolean) {
    this.#send = send;
  }

  add(bytes: Uint8Array): void {
    const joined = this.#run === undefined ? bytes : joinViews(this.#run, bytes);
    if (joined === undefined) {
      this.flush();
    }
    this.#run = joined ?? bytes;
  }

  flush(): void {
    const run = this.#run;
    this.#run = undefined;
    if (run !== undefined && run.length > 0 && !this.#send(run)) {
      this.isFull = true;
    }
  }

  /** At once, after what is in the run. */
  write(bytes: Uint8Array): void {
    this.add(bytes);
    this.flush();
  }
}
