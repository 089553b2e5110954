/**
 * What programs inside a run keep on disk, `<state>/runs/<run>/`: the run's tokens, the pin of its
 * gateway, recordings. It is a home of its own, so that they never need the person's, and it is in
 * the state directory, so that recordings survive a `hoop run` that is killed.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, rename, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isMissing } from '../home.ts';
import { isRunning } from '../is-running.ts';
import { isClaimedByOther, spoolDirectory, spooledSessions } from '../recording/spool.ts';

/** Of `state`, wherever that is: a run inside a run has its own below that of the outer one. */
interface State {
  readonly state: string;
}

const OWNER = 'owner';

/** @returns the new directory, 0700, which belongs to this process */
export function makeRunState(home: State, run: string): string {
  const directory = join(home.state, 'runs', run);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(join(directory, OWNER), String(process.pid), { mode: 0o600 });
  return directory;
}

/** Directories of runs whose process was killed. */
export async function abandonedRunStates(home: State): Promise<string[]> {
  const runs = join(home.state, 'runs');
  return (await namesIn(runs)).map((name) => join(runs, name)).filter((one) => !isOwned(one));
}

/**
 * Takes over the recordings that programs inside the run have left, and removes the rest of the
 * directory. One that a program is still writing stays, with its directory, for the next time.
 * @returns sessions that are below `home` now
 */
export async function adoptRunState(home: State, directory: string): Promise<string[]> {
  // Tokens and keys first: nothing that is left shall be good for anything.
  for (const name of ['tokens.json', 'config.json', 'trust.json']) {
    rmSync(join(directory, name), { force: true });
  }
  const adopted: string[] = [];
  for (const inner of await namesIn(join(directory, 'runs'))) {
    adopted.push(...(await adoptRunState(home, join(directory, 'runs', inner))));
  }
  const from = join(directory, 'sessions');
  const to = join(home.state, 'sessions');
  await mkdir(to, { recursive: true, mode: 0o700 });
  for (const session of await spooledSessions(from)) {
    const spool = spoolDirectory(from, session);
    if (!(await isClaimedByOther(spool))) {
      await rename(spool, spoolDirectory(to, session));
      adopted.push(session);
    }
  }
  const isEmpty =
    (await namesIn(join(directory, 'runs'))).length === 0 && (await namesIn(from)).length === 0;
  if (isEmpty) {
    rmSync(directory, { recursive: true, force: true });
    await rmdir(join(home.state, 'runs')).catch(() => undefined);
  }
  return adopted;
}

function isOwned(directory: string): boolean {
  try {
    const processId = Number(readFileSync(join(directory, OWNER), 'utf8'));
    return processId > 0 && isRunning(processId);
  } catch (error) {
    if (isMissing(error)) {
      return false;
    }
    throw error;
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isMissing(error)) {
      return [];
    }
    throw error;
  }
}
