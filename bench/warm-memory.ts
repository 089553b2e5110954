/**
 * Makes sure that the machine's free memory is really there before something is measured.
 *
 * A virtual machine whose host takes free pages back ("free page reporting", balloons) pays for
 * the first touch of each page: about 2 s of CPU time per gigabyte here, now for one run and now
 * for another. That hits whatever writes files (new pages of the cache), so a recording and
 * nothing else. Touching memory and letting go of it has the host give the pages first.
 */
import { execFile } from 'node:child_process';
import { freemem } from 'node:os';
import { promisify } from 'node:util';

const BLOCK_BYTES = 1 << 30;
const MAX_BLOCKS = 3;
/** Never more than this share of what is free: to run out of memory would be worse. */
const MAX_SHARE_OF_FREE = 0.5;
const PAGE_BYTES = 4096;

/** A process of its own, whose end gives everything back at once. */
export async function warmMemory(signal: AbortSignal): Promise<void> {
  const blocks = Math.min(MAX_BLOCKS, Math.floor((freemem() * MAX_SHARE_OF_FREE) / BLOCK_BYTES));
  const touch = `const blocks = [];
    for (let n = 0; n < ${blocks}; n += 1) {
      const block = Buffer.allocUnsafeSlow(${BLOCK_BYTES});
      for (let at = 0; at < block.length; at += ${PAGE_BYTES}) block[at] = 1;
      blocks.push(block);
    }`;
  await promisify(execFile)(process.execPath, ['-e', touch], { signal });
}
