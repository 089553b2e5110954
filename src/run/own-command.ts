/** `hoop` for programs of a run, where their PATH has none. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { shellWord } from '../shell-word.ts';
import type { EnvironmentPart } from './environment.ts';

/**
 * Puts a script behind everything else on PATH, so that it hides no program.
 * @param directory 0700, of the run
 * @param self words that run this program
 * @param path of the run's programs
 * @returns what changes in their environment
 */
export function offerOwnCommand(
  directory: string,
  self: readonly string[],
  path: string,
): EnvironmentPart {
  const isThere = path.split(delimiter).some((place) => existsSync(join(place, 'hoop')));
  if (isThere || process.platform === 'win32') {
    return {};
  }
  const own = join(directory, 'own-bin');
  mkdirSync(own, { mode: 0o700 });
  writeFileSync(join(own, 'hoop'), `#!/bin/sh\nexec ${self.map(shellWord).join(' ')} "$@"\n`, {
    mode: 0o700,
    flag: 'wx',
  });
  return { PATH: path === '' ? own : `${path}${delimiter}${own}` };
}
