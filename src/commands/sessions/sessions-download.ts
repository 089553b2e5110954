import { stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { openGateway } from '../../auth/open-gateway.ts';
import { saveBundle } from '../../client/save-bundle.ts';
import { HoopError } from '../../errors.ts';
import { byteCount } from '../../ui/text/times.ts';
import type { Io } from '../io.ts';
import { printedAsJson } from '../print.ts';
import { downloadTo, findSession, requireEnded } from './sessions-source.ts';

export interface DownloadFlags {
  readonly out?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

export async function downloadSession(io: Io, id: string, flags: DownloadFlags): Promise<void> {
  if (flags.out !== undefined && flags.out !== '-') {
    await checkPlace(resolve(io.cwd, flags.out));
  }
  await using gateway = await openGateway(io);
  const session = await findSession(gateway.client, id, io.signal);
  if (flags.out === '-') {
    if (io.stdout.isTTY) {
      throw new HoopError('HOOP_USAGE', 'cannot print a recording on a terminal', {
        hint: 'Redirect the output, or give a file with --out.',
      });
    }
    await downloadTo(gateway.client, session, () => io.stdout, io.signal);
    return;
  }
  const path = resolve(io.cwd, flags.out ?? `${session.id}.tar`);
  if (!flags.force && (await stat(path).catch(() => undefined))) {
    throw new HoopError('HOOP_USAGE', `file "${path}" is already there`, {
      hint: 'Give another name with --out, or replace it with --force.',
    });
  }
  requireEnded(session);
  await saveBundle(gateway.client, session.id, path, io.signal);
  const { size } = await stat(path);
  if (printedAsJson(io, flags, { v: 1, session: session.id, file: path, bytes: size })) return;
  io.note(`saved ${byteCount(size)}; check it with \`hoop sessions verify ${path}\``);
  io.stdout.write(`${path}\n`);
}

/** Before anything is asked of the gateway. @throws HoopError HOOP_USAGE */
async function checkPlace(path: string): Promise<void> {
  if ((await stat(path).catch(() => undefined))?.isDirectory()) {
    throw new HoopError('HOOP_USAGE', `cannot save to "${path}": it is a directory`, {
      hint: 'Add a file name.',
    });
  }
  const directory = dirname(path);
  if (!(await stat(directory).catch(() => undefined))?.isDirectory()) {
    throw new HoopError('HOOP_USAGE', `cannot save to "${path}": no directory "${directory}"`, {
      hint: 'Create the directory first, or give another path with --out.',
    });
  }
}
