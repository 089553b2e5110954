/** @param error what prevented it */
export type Done = (error: Error | undefined) => void;

export interface UnsentData {
  readonly parts: readonly Uint8Array[];
  /** Of all parts, 1 byte or more. */
  readonly length: number;
  /** Called when all of it is in the kernel. */
  readonly done: Done | undefined;
}

/** Goes behind the data before it, and needs no window. */
export interface UnsentFrame {
  readonly frame: Uint8Array;
  readonly isEnd: boolean;
}

/** What waits is kept in no more parts: each costs a hundred bytes besides its own. */
const MAX_PARTS = 1024;

/** What of a stream cannot be sent yet, for want of window or of room on the connection. */
export class UnsentItems {
  readonly #items: (UnsentData | UnsentFrame)[] = [];
  #bytes = 0;

  /** Of data. */
  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#items.length === 0;
  }

  push(item: UnsentData | UnsentFrame): void {
    if ('frame' in item) {
      this.#items.push(item);
      return;
    }
    const { parts, length } = item;
    const isJoined = parts.length > MAX_PARTS;
    this.#items.push(isJoined ? { ...item, parts: [Buffer.concat(parts, length)] } : item);
    this.#bytes += length;
  }

  /** @param window bytes of data that may be sent */
  canSend(window: number): boolean {
    const [first] = this.#items;
    return first !== undefined && ('frame' in first || window > 0);
  }

  /** The first of them, or as much of it as `most` bytes of data are. */
  take(most: number): UnsentData | UnsentFrame | undefined {
    const [first] = this.#items;
    if (first === undefined || 'frame' in first) {
      return this.#items.shift();
    }
    if (most === 0) {
      return undefined;
    }
    const length = Math.min(most, first.length);
    this.#bytes -= length;
    if (length === first.length) {
      this.#items.shift();
      return first;
    }
    const [parts, rest] = splitParts(first.parts, length);
    this.#items[0] = { parts: rest, length: first.length - length, done: first.done };
    return { parts, length, done: undefined };
  }

  /** None of them will be sent. */
  drop(error: Error): void {
    this.#bytes = 0;
    for (const item of this.#items.splice(0)) {
      if ('done' in item) {
        item.done?.(error);
      }
    }
  }
}

function splitParts(
  parts: readonly Uint8Array[],
  length: number,
): readonly [readonly Uint8Array[], readonly Uint8Array[]] {
  const first: Uint8Array[] = [];
  const rest: Uint8Array[] = [];
  let left = length;
  for (const part of parts) {
    if (left > 0) {
      first.push(part.subarray(0, left));
    }
    if (part.length > left) {
      rest.push(part.subarray(left));
    }
    left = Math.max(0, left - part.length);
  }
  return [first, rest];
}
