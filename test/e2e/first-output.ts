import type { ChildProcess } from 'node:child_process';

/**
 * What a child says first.
 * @throws Error with what it said on stderr, when it ends without a word: waiting would have no end
 */
export function firstOutput(child: ChildProcess): Promise<string> {
  let said = '';
  child.stderr?.on('data', (text) => {
    said += String(text);
  });
  return new Promise((resolve, reject) => {
    child.stdout?.once('data', (text) => resolve(String(text)));
    child.once('close', (code, signal) => {
      reject(new Error(`ended with ${signal ?? code} and no output: ${said}`));
    });
  });
}
