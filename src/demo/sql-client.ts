/**
 * The program that the tour runs through `hoop connect … -- `: psql where it is installed, else a
 * few lines around the `pg` driver that comes with the demo's parts.
 */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface SqlClient {
  readonly name: string;
  /** Command line that runs these statements, one after the other, on one connection. */
  command(statements: readonly string[]): string[];
}

export function chooseSqlClient(path: string | undefined): SqlClient {
  const installed = (path ?? '').split(delimiter).some((entry) => existsSync(join(entry, 'psql')));
  if (installed) {
    return {
      name: 'psql',
      command: (statements) => [
        'psql',
        '-X',
        '-P',
        'pager=off',
        ...statements.flatMap((text) => ['-c', text]),
      ],
    };
  }
  const here = import.meta.url;
  const shell = fileURLToPath(new URL(`./sql-shell${here.endsWith('.ts') ? '.ts' : '.js'}`, here));
  return {
    name: 'a small client (psql is not installed)',
    command: (statements) => [process.execPath, shell, ...statements],
  };
}
