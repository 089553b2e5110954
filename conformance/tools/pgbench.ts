/** pgbench: its tables in the schema scratch, its three scripts, each way of sending them. */
import { clientProgram } from '../installation.ts';
import type { ProgramResult } from '../program.ts';
import type { Tool } from './tool.ts';

const OPTIONS = { PGOPTIONS: '-c search_path=scratch' };

export const pgbench: Tool = {
  name: 'pgbench',
  source: 'server',
  package: undefined,
  async run({ runProgram, server }) {
    const outputs = new Map<string, string>();
    const program = clientProgram(server, 'pgbench');
    const run = async (name: string, args: readonly string[]): Promise<void> => {
      outputs.set(name, shown(await runProgram(program, args, { env: OPTIONS })));
    };
    await run('initialize', ['-i', '-q', '-s', '1']);
    await run('initialize on the server', ['-i', '-q', '-I', 'dtGvp']);
    for (const protocol of ['simple', 'extended', 'prepared']) {
      for (const script of ['tpcb-like', 'simple-update', 'select-only']) {
        await run(`${script}, ${protocol}`, [
          '-n',
          '-b',
          script,
          '-M',
          protocol,
          '-t',
          '10',
          '-c',
          '2',
        ]);
      }
    }
    await run('initialize with partitions', ['-i', '-q', '--partitions=3', '--foreign-keys']);
    return outputs;
  },
};

function shown({ exitCode, stdout, stderr }: ProgramResult): string {
  const text = `exit ${exitCode}\n${stderr}${stdout}`;
  return text
    .replaceAll(/\d+(\.\d+)? (s|ms)\b/g, 'N $2')
    .replaceAll(/^(tps|latency|initial connection).*$/gm, '$1');
}
