import { openGateway } from '../../auth/open-gateway.ts';
import type { GatewayClient } from '../../client/gateway-client.ts';
import { HoopError } from '../../errors.ts';
import { runLines, runTable } from '../../ui/run-lines.ts';
import { plain } from '../../ui/text/printable.ts';
import type { Io } from '../io.ts';
import { type JsonFlag, lookOf, printedAsJson, printLines } from '../print.ts';
import { FULL_ID } from '../sessions/sessions-source.ts';

export interface KillFlags extends JsonFlag {
  readonly reason?: string;
}

const MIN_PREFIX = 4;

export async function listRuns(io: Io, flags: JsonFlag): Promise<void> {
  await using gateway = await openGateway(io);
  const reply = await gateway.client.runs(io.signal);
  if (printedAsJson(io, flags, reply)) return;
  if (reply.runs.length === 0) {
    io.note('there is no active run that you may see');
    return;
  }
  printLines(io, runTable(reply.runs, lookOf(io), Date.now()));
}

export async function showRunOf(io: Io, typed: string, flags: JsonFlag): Promise<void> {
  await using gateway = await openGateway(io);
  const run = await gateway.client.run(await idOf(gateway.client, typed, io.signal), io.signal);
  if (printedAsJson(io, flags, { v: 1, run })) return;
  printLines(io, runLines(run, lookOf(io), Date.now()));
}

export async function killRun(io: Io, typed: string, flags: KillFlags): Promise<void> {
  await using gateway = await openGateway(io);
  const { client } = gateway;
  const ended = await client.endRun(await idOf(client, typed, io.signal), flags.reason, io.signal);
  if (printedAsJson(io, flags, ended)) return;
  io.note(
    `ended the login of run ${plain(ended.run)}; its sessions were told: ${plain(ended.endMessage)}`,
  );
}

/** @throws HoopError HOOP_RUN_UNKNOWN, HOOP_USAGE */
async function idOf(client: GatewayClient, typed: string, signal: AbortSignal): Promise<string> {
  const wanted = typed.trim().toLowerCase();
  if (FULL_ID.test(wanted)) return wanted;
  const usage = (message: string): HoopError =>
    new HoopError('HOOP_USAGE', message, { hint: 'See them with `hoop runs list`.' });
  if (wanted.length < MIN_PREFIX) {
    throw usage(`"${plain(typed)}" is too short for the start of an ID`);
  }
  const { runs } = await client.runs(signal);
  const [found, other] = runs.filter(({ id }) => id.startsWith(wanted));
  if (found === undefined) {
    throw new HoopError(
      'HOOP_RUN_UNKNOWN',
      `no active run has an ID that starts with "${plain(wanted)}"`,
      {
        hint: 'See them with `hoop runs list`.',
      },
    );
  }
  if (other !== undefined)
    throw usage(`several runs have an ID that starts with "${plain(wanted)}"`);
  return found.id;
}
