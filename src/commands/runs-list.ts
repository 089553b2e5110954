import { openGateway } from '../auth/open-gateway.ts';
import type { GatewayClient } from '../client/gateway-client.ts';
import { HoopError } from '../errors.ts';
import { plain } from '../ui/printable.ts';
import { renderJson } from '../ui/render-json.ts';
import { runLines, runTable } from '../ui/run-lines.ts';
import { styleFor } from '../ui/style.ts';
import { terminalWidth } from '../ui/terminal-width.ts';
import type { Io } from './io.ts';
import { FULL_ID } from './sessions-source.ts';

export interface RunsFlags {
  readonly json?: boolean;
}

export interface KillFlags extends RunsFlags {
  readonly reason?: string;
}

const MIN_PREFIX = 4;

export async function listRuns(io: Io, flags: RunsFlags): Promise<void> {
  await using gateway = await openGateway(io);
  const reply = await gateway.client.runs(io.signal);
  if (flags.json) {
    io.stdout.write(`${renderJson(reply)}\n`);
    return;
  }
  if (reply.runs.length === 0) {
    io.note('there is no active run that you may see');
    return;
  }
  const options = { style: styleFor(io.color.stdout), width: terminalWidth(io.stdout, io.env) };
  io.stdout.write(`${runTable(reply.runs, options, Date.now()).join('\n')}\n`);
}

export async function showRunOf(io: Io, typed: string, flags: RunsFlags): Promise<void> {
  await using gateway = await openGateway(io);
  const run = await gateway.client.run(await idOf(gateway.client, typed, io.signal), io.signal);
  if (flags.json) {
    io.stdout.write(`${renderJson({ v: 1, run })}\n`);
    return;
  }
  const options = { style: styleFor(io.color.stdout), width: terminalWidth(io.stdout, io.env) };
  io.stdout.write(`${runLines(run, options, Date.now()).join('\n')}\n`);
}

export async function killRun(io: Io, typed: string, flags: KillFlags): Promise<void> {
  await using gateway = await openGateway(io);
  const { client } = gateway;
  const ended = await client.endRun(await idOf(client, typed, io.signal), flags.reason, io.signal);
  if (flags.json) {
    io.stdout.write(`${renderJson(ended)}\n`);
    return;
  }
  io.note(`run ${plain(ended.run)} has lost its login; it was told: ${plain(ended.endMessage)}`);
}

/** @throws HoopError HOOP_RUN_UNKNOWN, HOOP_USAGE */
async function idOf(client: GatewayClient, typed: string, signal: AbortSignal): Promise<string> {
  const wanted = typed.trim().toLowerCase();
  if (FULL_ID.test(wanted)) return wanted;
  const usage = (message: string): HoopError =>
    new HoopError('HOOP_USAGE', message, { hint: 'See them with `hoop runs list`.' });
  if (wanted.length < MIN_PREFIX) {
    throw usage(`"${plain(typed)}" is too short for the start of an id`);
  }
  const { runs } = await client.runs(signal);
  const [found, other] = runs.filter(({ id }) => id.startsWith(wanted));
  if (found === undefined) {
    throw new HoopError(
      'HOOP_RUN_UNKNOWN',
      `no active run has an id that starts with "${plain(wanted)}"`,
      {
        hint: 'See them with `hoop runs list`.',
      },
    );
  }
  if (other !== undefined)
    throw usage(`several runs have an id that starts with "${plain(wanted)}"`);
  return found.id;
}
