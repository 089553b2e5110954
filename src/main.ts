/**
 * One call of `hoop`. Nothing heavy is imported here: every command loads its work when it runs, so
 * that `--version` and `--help` stay fast.
 */
import { dirname } from 'node:path';
import { CommanderError } from 'commander';
import { Call } from './process/call.ts';
import { processIo } from './process/process-io.ts';
import { buildProgram, wantsJson, wordsFor } from './process/program.ts';
import { ProcessSignals } from './process/signals.ts';

export async function main(): Promise<void> {
  const call = new Call();
  const signals = new ProcessSignals();
  const io = processIo(call, signals);
  const program = buildProgram(io, wantsJson(process.argv));
  program.hook('preAction', (_program, command) => call.begins(command));
  const words = wordsFor(program, process.argv.slice(2));
  try {
    await program.parseAsync(words, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      call.refused(error, words);
      return;
    }
    // The launcher tells it: what would do so here may be gone as well.
    if (isOfBundle(error)) throw error;
    await call.failed(error, io.color.stderr);
  }
  if (signals.status !== undefined) {
    call.interrupted(signals.status);
  }
  if (call.isDone) {
    signals.end();
  }
}

function isOfBundle(error: unknown): boolean {
  const path = error instanceof Error && 'path' in error ? String(error.path) : '';
  return dirname(path) === import.meta.dirname;
}
