import { PassThrough, Writable } from 'node:stream';

/** A terminal as far as ink looks: it takes text, has a size, and gives keys. */
export class Screen extends Writable {
  readonly isTTY = true;
  readonly columns = 80;
  readonly rows = 24;
  text = '';
  /** Since the beginning. */
  all = '';
  #waiting: { readonly wanted: string; readonly found: () => void } | undefined;

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    this.all += chunk.toString();
    if (this.#waiting && this.text.includes(this.#waiting.wanted)) {
      this.#waiting.found();
    }
    done();
  }

  /** Resolves when this has been written since the last call. */
  async until(wanted: string): Promise<void> {
    if (!this.text.includes(wanted)) {
      await new Promise<void>((found) => {
        this.#waiting = { wanted, found };
      });
    }
    this.#waiting = undefined;
    this.text = '';
  }
}

export class Keyboard extends PassThrough {
  readonly isTTY = true;
  isRaw = false;

  setRawMode(isRaw: boolean): this {
    this.isRaw = isRaw;
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}
