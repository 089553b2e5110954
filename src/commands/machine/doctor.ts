import { Command } from 'commander';
import type { Io } from '../io.ts';

interface DoctorFlags {
  readonly json?: boolean;
}

export function doctorCommand(io: Io): Command {
  return new Command('doctor')
    .description('check what hoop needs on this machine, and say how to fix what is missing')
    .option('--json', 'print one JSON document')
    .addHelpText('after', EXAMPLES)
    .action((flags: DoctorFlags) => runDoctor(io, flags));
}

async function runDoctor(io: Io, flags: DoctorFlags): Promise<void> {
  const { doctorChecks } = await import('./doctor-checks.ts');
  const { doctorLines } = await import('../../ui/doctor-lines.ts');
  const { renderJson } = await import('../../ui/render-json.ts');
  const { styleFor } = await import('../../ui/text/style.ts');
  const { terminalWidth } = await import('../../ui/text/terminal-width.ts');
  const { HoopError } = await import('../../errors.ts');
  const checks = await doctorChecks(io);
  const failed = checks.filter(({ status }) => status === 'failed').length;
  if (flags.json === true) {
    io.stdout.write(`${renderJson({ v: 1, ok: failed === 0, checks })}\n`);
  } else {
    const width = terminalWidth(io.stdout, io.env);
    const lines = doctorLines(checks, { style: styleFor(io.color.stdout), width });
    io.stdout.write(`${lines.join('\n')}\n`);
  }
  if (failed > 0) {
    throw new HoopError(
      'HOOP_CHECK_FAILED',
      failed === 1 ? 'a check has failed' : `${failed} checks have failed`,
      { hint: 'The advice is below each of them.' },
    );
  }
}

const EXAMPLES = `
Changes nothing, except that it renews an expiring login, as any command does. Exit status 0: you can
work (there may be warnings); 1: something is missing.

Examples:
  hoop doctor
  hoop doctor --json | jq -r '.checks[] | select(.status == "failed") | .hint'`;
