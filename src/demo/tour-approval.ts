/** The step of the tour in which a DELETE is held, approved by another identity, and carried out. */
import type { HoopRun } from './hoop-process.ts';
import { connectAdmin } from './sample-target.ts';
import { expectText, field, hoop, query, type Tour, TourFailure, until } from './tour-commands.ts';

/** A row of this step's own, so that the shop is afterwards what it was. */
const ORDER = 9001;
const DELETE = `DELETE FROM orders WHERE id = ${ORDER}`;

export async function heldAndApproved(tour: Tour): Promise<void> {
  await withAdmin(
    tour,
    `INSERT INTO orders VALUES (${ORDER}, 1, 0.01, 'open', '2026-01-05') ON CONFLICT DO NOTHING`,
  );
  const stop = new AbortController();
  // What the client shows while it waits, and what it shows when it goes on.
  let shown = '';
  const show = (): void => {
    tour.output(shown);
    shown = '';
  };
  const signal = AbortSignal.any([tour.signal, stop.signal]);
  const run = query({ ...tour, signal }, [DELETE], (text) => {
    shown += text;
  });
  try {
    await decideAbout(tour, run, { waiting: () => shown.includes('A cancel withdraws it'), show });
  } finally {
    // If something was not as it should be, nothing goes on waiting.
    stop.abort();
    await run.catch(() => undefined);
  }
}

interface Client {
  /** It has been told that its statement is held. */
  readonly waiting: () => boolean;
  /** Shows what it has printed since the last time. */
  readonly show: () => void;
}

async function decideAbout(tour: Tour, run: Promise<HoopRun>, client: Client): Promise<void> {
  const ended = run.then(
    () => true,
    () => true,
  );
  const told = until(tour, async () => client.waiting(), 'the client was not told that it waits');
  if (await Promise.race([told.then(() => false), ended])) {
    throw new TourFailure(`the DELETE was not held: ${(await run).stderr.trim()}`);
  }
  const id = await waitingRequest(tour);
  client.show();
  tour.finding(`it is waiting, as request ${id}; meanwhile:`);
  const own = await hoop(tour, ['approvals', 'approve', id], { mayFail: true });
  if (own.exitCode !== 4) {
    throw new TourFailure(`who asked could decide (exit status ${own.exitCode})`);
  }
  if ((await countOrders(tour)) !== 1) {
    throw new TourFailure('the row was deleted before anybody approved it');
  }
  const shown = await hoop(tour, ['approvals', 'show', id], { as: 'dba' });
  expectText(shown.stdout, DELETE, 'the approver does not see the statement');
  expectText(shown.stdout, 'engineer@', 'the approver does not see who asks');
  expectText(shown.stdout, 'demo tour', 'the approver does not see the reason');
  await hoop(tour, ['approvals', 'approve', id, '--reason', 'a test order'], { as: 'dba' });
  const { stdout, stderr, exitCode } = await run;
  tour.finding('and the client continues:');
  client.show();
  if (exitCode !== 0) {
    throw new TourFailure(`the approved DELETE failed: ${stderr.trim()}`);
  }
  expectText(stdout, 'DELETE 1', 'the approved DELETE did not run');
  if ((await countOrders(tour)) !== 0) {
    throw new TourFailure('the row is still there');
  }
  const { stdout: sessions } = await hoop(tour, ['sessions', 'list', '--limit', '1', '--json'], {
    show: false,
  });
  const [newest] = listOf(sessions, 'sessions');
  const replay = await hoop(tour, ['sessions', 'replay', String(field(newest, 'id'))]);
  expectText(replay.stdout, id, 'the replay does not show the request');
  expectText(replay.stdout, 'dba@', 'the replay does not show who approved');
}

async function waitingRequest(tour: Tour): Promise<string> {
  let id = '';
  await until(
    tour,
    async () => {
      const { stdout } = await hoop(tour, ['approvals', 'list', '--json'], {
        show: false,
        as: 'dba',
      });
      const held = listOf(stdout, 'approvals').find(
        (entry) => field(field(entry, 'statement'), 'text') === DELETE,
      );
      id = String(field(held, 'id') ?? '');
      return id !== '';
    },
    'the DELETE was not held',
  );
  return id;
}

function listOf(json: string, name: string): readonly unknown[] {
  const list = field(JSON.parse(json), name);
  return Array.isArray(list) ? list : [];
}

async function countOrders(tour: Tour): Promise<number> {
  return withAdmin(tour, `SELECT id FROM orders WHERE id = ${ORDER}`);
}

/** Past the gateway. @returns how many rows it returned or changed. */
async function withAdmin(tour: Tour, statement: string): Promise<number> {
  const admin = await connectAdmin(tour.demo.target.adminUrl);
  try {
    const { rowCount } = await admin.query(statement);
    return rowCount ?? 0;
  } finally {
    await admin.end();
  }
}
