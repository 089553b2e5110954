/** Whether a command can be run at all, asked before a session is opened for it. */
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { HoopError } from '../../errors.ts';

/**
 * As execvp(3) looks: a name with a slash is a path, any other is looked for on PATH.
 * @throws HoopError HOOP_MISSING_PROGRAM
 */
export function requireProgram(
  program: string,
  where: { readonly cwd: string; readonly path: string | undefined },
): void {
  // Windows looks for extensions, too; there the attempt itself has to tell.
  if (process.platform === 'win32') {
    return;
  }
  const isPath = program.includes('/');
  const candidates = isPath
    ? [resolve(where.cwd, program)]
    : (where.path ?? '')
        .split(delimiter)
        .map((directory) =>
          join(isAbsolute(directory) ? directory : resolve(where.cwd, directory), program),
        );
  const found = candidates.filter(isFile);
  if (found.length === 0) {
    throw new HoopError('HOOP_MISSING_PROGRAM', `cannot run "${program}"`, {
      detail: isPath ? 'There is no such file.' : 'There is no such program on PATH.',
      hint: program.includes(' ')
        ? 'Write the command and its arguments as separate words after `--`.'
        : undefined,
    });
  }
  if (!found.some(isExecutable)) {
    throw new HoopError('HOOP_MISSING_PROGRAM', `cannot run "${program}"`, {
      detail: `"${found[0]}" is not executable.`,
    });
  }
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    // Not there, or in a directory that may not be read: either way not to be run from there.
    return false;
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // What it says is the answer.
    return false;
  }
}
