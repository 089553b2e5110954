/**
 * How far this gateway has signed, in a small file of its own: one line per countersigned cut.
 * What was signed was on disk before (fdatasync), so a crash cannot leave the segments shorter
 * than this file says. If they are, somebody or a bad disk cut them, and nothing is repaired.
 */
import { closeSync, fdatasync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { isMissing } from '../../home.ts';

const FILE = 'signed.cuts';

export class SignedCuts implements Disposable {
  readonly #fd: number;
  #closed = false;

  constructor(directory: string) {
    this.#fd = openSync(join(directory, FILE), 'a', 0o600);
  }

  /** Call after the cut's own frame is on disk, else a crash in between looks like a cut tail. */
  add(epoch: number, treeSize: number, root: string): void {
    writeSync(this.#fd, `${epoch} ${treeSize} ${root}\n`);
    // Losing the last line only makes the check weaker; the reply need not wait for it.
    fdatasync(this.#fd, () => undefined);
  }

  [Symbol.dispose](): void {
    if (!this.#closed) {
      this.#closed = true;
      closeSync(this.#fd);
    }
  }
}

/** How many cuts have been countersigned, as far as whole lines say. */
export function readSignedCuts(directory: string): number {
  let text: string;
  try {
    text = readFileSync(join(directory, FILE), 'utf8');
  } catch (error) {
    if (isMissing(error)) {
      return 0;
    }
    throw error;
  }
  let cuts = 0;
  // Of what a power cut left there may be zeros in front of a later line, or a line without its end.
  for (const line of text.slice(0, text.lastIndexOf('\n') + 1).split('\n')) {
    const epoch = /^\0*(\d{1,10}) \d+ \S+$/.exec(line)?.[1];
    cuts = epoch === undefined ? cuts : Math.max(cuts, Number(epoch) + 1);
  }
  return cuts;
}
