/** pg_dump and pg_restore: the structure, the data of what is not masked, back into scratch. */
import { clientProgram } from '../installation.ts';
import type { ProgramResult } from '../program.ts';
import type { Tool } from './tool.ts';

const CASES: Readonly<Record<string, readonly string[]>> = {
  structure: ['--schema-only'],
  'structure, clean': ['--schema-only', '--clean', '--if-exists', '--no-owner', '--no-privileges'],
  'structure of one table': ['--schema-only', '--table=public.orders'],
  'data of one table': ['--data-only', '--table=public.products'],
  'inserts of one table': ['--inserts', '--data-only', '--table=public.products'],
  'all but the masked table': ['--exclude-table-data=public.customers', '--no-blobs'],
  everything: ['--no-blobs'],
  'inserts of the masked table': ['--inserts', '--table=public.customers'],
  'masked on purpose': ['--table=public.customers', '--data-only'],
};

export const pgDump: Tool = {
  name: 'pg_dump',
  source: 'server',
  package: undefined,
  async run({ runProgram, scratch, server, lane }) {
    const outputs = new Map<string, string>();
    const program = clientProgram(server, 'pg_dump');
    for (const [name, args] of Object.entries(CASES)) {
      const env = name === 'masked on purpose' ? { PGAPPNAME: 'masked-dump' } : {};
      outputs.set(name, shown(await runProgram(program, args, { cwd: scratch, env })));
    }
    const archive = ['-Fc', '--schema=scratch', '-f', 'archive'];
    const psql = (sql: string): Promise<ProgramResult> =>
      runProgram(clientProgram(server, 'psql'), ['-X', '-At', '-c', sql]);
    outputs.set(
      'something to restore',
      shown(await psql('CREATE TABLE scratch.kept (id int PRIMARY KEY, t text)')) +
        shown(
          await psql("INSERT INTO scratch.kept SELECT g, 't' || g FROM generate_series(1, 5) g"),
        ),
    );
    outputs.set('archive', shown(await runProgram(program, archive, { cwd: scratch })));
    const restore = clientProgram(server, 'pg_restore');
    const options = ['-d', lane.database, '--clean', '--if-exists', '--no-owner', '--table=kept'];
    outputs.set(
      'restore',
      shown(await runProgram(restore, [...options, 'archive'], { cwd: scratch })),
    );
    outputs.set('restored', shown(await psql('SELECT * FROM scratch.kept ORDER BY id')));
    return outputs;
  },
};

function shown({ exitCode, stdout, stderr }: ProgramResult): string {
  // Recent versions put a random word before and after the text.
  return `exit ${exitCode}\n${stderr}${stdout.replaceAll(/^\\(un)?restrict .*$/gm, '\\$1restrict WORD')}`;
}
