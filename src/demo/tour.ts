/**
 * The guided tour: what hoop does, shown on the demo with the real program, one step after the
 * other. Each step checks what it claims; a step that is not true fails the tour.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Demo } from './demo.ts';
import { DEMO_TARGET } from './demo.ts';
import { startHoop } from './hoop-process.ts';
import { SAMPLE_CUSTOMERS } from './sample-data.ts';
import { connectAdmin } from './sample-target.ts';
import { chooseSqlClient } from './sql-client.ts';
import { heldAndApproved } from './tour-approval.ts';
import {
  expectText,
  field,
  homeOf,
  hoop,
  note,
  query,
  type Tour,
  TourFailure,
  until,
} from './tour-commands.ts';
import { commandOnServer } from './tour-server.ts';

const SAMPLE = SAMPLE_CUSTOMERS.slice(0, 3);
/** As often as the gateway of the demo looks itself; each look here takes a process. */
const POLICY_POLL_MS = 1000;

export interface TourStep {
  readonly title: string;
  /** Why this matters, in a sentence or two. */
  readonly explanation: string;
  /** Does it, shows it, and throws a TourFailure when it is not as the title says. */
  readonly run: (tour: Tour) => Promise<void>;
}

export const TOUR: readonly TourStep[] = [
  {
    title: 'Who am I? A login at the identity provider, no database password',
    explanation:
      'The engineer logged in through the browser (OIDC, authorization code with PKCE). The gateway issued a session token bound to a key on this machine; the identity token is not used again.',
    run: whoAmI,
  },
  {
    title: 'What may I do? The policy comes from a signed commit in git',
    explanation:
      'The gateway and the client both fetched the policy and verified its signature. Every decision names the commit.',
    run: listTargets,
  },
  {
    title: 'Work as usual: an unmodified client on a local port, with columns masked',
    explanation:
      'hoop opens a port on this machine with a password for this port only, and runs the client with it. The gateway holds the real password and masks card numbers, social security numbers and e-mail addresses in the results.',
    run: queryWithMasks,
  },
  {
    title: 'A mask follows the data, not the name',
    explanation:
      'Under another name, through a view, inside an expression: the value stays masked. Counting and joining still work.',
    run: maskFollowsData,
  },
  {
    title: 'A forbidden statement is refused, and the connection stays open',
    explanation:
      'The error says which rule refused it and what to do instead, so a person or an agent can act on it. The statement never reached the database.',
    run: denied,
  },
  {
    title: 'A risky statement waits for a second person',
    explanation:
      'The policy lets engineers delete orders after an approver has agreed. The DELETE waits on its connection, and the client gets a notice; the dba sees the statement, who asks and why, and what it would do. Nobody can approve their own request.',
    run: heldAndApproved,
  },
  {
    title: 'The local port is only for its owner',
    explanation:
      'Another program on this machine that finds the port gets nowhere without the password.',
    run: localPortRefuses,
  },
  {
    title: 'Replay: what was asked, what was decided, what came back',
    explanation:
      'Both sides hashed and signed every byte of the session. The client has uploaded its signed manifest, and the gateway, which keeps the recording, has compared and countersigned it.',
    run: replay,
  },
  {
    title: 'Proof: one file that anyone can verify, offline',
    explanation:
      'hoop checks the downloaded file against the keys pinned at login. No network, no server to trust.',
    run: verify,
  },
  {
    title: 'A changed recording is found',
    explanation: 'One bit of the file is flipped; verification says what was altered.',
    run: tamper,
  },
  {
    title: 'Did the engineer ever see a card number?',
    explanation: `The recording holds every byte that reached the client. None of the ${SAMPLE_CUSTOMERS.length} card numbers or social security numbers is in it.`,
    run: neverSeen,
  },
  {
    title: 'A server, too: commands over SSH',
    explanation:
      'The same login and the same policy. hoop ends the SSH connection on this machine, the gateway logs in to the server with a key that only it has; both sides hash and sign every byte of every channel, and each command is checked before it starts.',
    run: commandOnServer,
  },
  {
    title: 'The policy changes with a commit, in seconds',
    explanation: 'A signed commit adds a mask for names; an unsigned one changes nothing.',
    run: policyChanges,
  },
];

async function whoAmI(tour: Tour): Promise<void> {
  const { stdout } = await hoop(tour, ['whoami']);
  expectText(stdout, 'engineer@', 'whoami does not name the engineer');
  expectText(stdout, 'engineering', 'whoami does not show the group');
}

async function listTargets(tour: Tour): Promise<void> {
  const { stdout } = await hoop(tour, ['targets']);
  expectText(stdout, DEMO_TARGET, 'the target is not listed');
  expectText(stdout, 'public.customers.card_number', 'the masked columns are not listed');
}

async function queryWithMasks(tour: Tour): Promise<void> {
  const run = await query(tour, [
    'SELECT id, full_name, email, card_number, ssn\n           FROM customers ORDER BY id LIMIT 3',
  ]);
  for (const customer of SAMPLE) {
    expectText(run.stdout, customer.name, 'a name that is not masked is missing');
  }
  refuseSecrets(run.stdout + run.stderr);
}

async function maskFollowsData(tour: Tour): Promise<void> {
  const run = await query(tour, [
    "SELECT id, 'card: ' || payment_card AS note, orders\n           FROM customer_overview ORDER BY id LIMIT 2",
    'SELECT max(ssn) AS m, count(*) FROM customers',
    'SELECT c.full_name, count(*) AS orders, sum(o.amount)\n           FROM customers c JOIN orders o ON o.customer_id = c.id\n           GROUP BY c.full_name ORDER BY 1 LIMIT 2',
  ]);
  refuseSecrets(run.stdout + run.stderr);
  expectText(run.stdout, String(SAMPLE_CUSTOMERS.length), 'count(*) did not come back');
  expectText(run.stdout, SAMPLE[0]?.name ?? '', 'the join did not come back');
}

async function denied(tour: Tour): Promise<void> {
  const run = await query(tour, [
    'DROP TABLE orders',
    'SELECT count(*) AS still_there FROM orders',
  ]);
  expectText(run.stderr, 'ERROR:', 'the statement was not refused');
  expectText(run.stderr, 'policies/engineers.yaml', 'the denial does not name its rule');
  expectText(run.stdout, 'still_there', 'the connection did not stay open');
  const log = tour.demo.target.log();
  if (log !== undefined) {
    if (/DROP TABLE/i.test(log)) {
      throw new TourFailure('the statement reached the database');
    }
    tour.finding("the server's own log has no DROP TABLE");
  }
  const admin = await connectAdmin(tour.demo.target.adminUrl);
  try {
    await admin.query('SELECT 1 FROM orders LIMIT 1');
  } finally {
    await admin.end();
  }
}

async function localPortRefuses(tour: Tour): Promise<void> {
  tour.command(`hoop connect ${DEMO_TARGET} --json`);
  await using connection = await startHoop(['connect', DEMO_TARGET, '--json'], 'listening', {
    home: homeOf(tour),
    signal: tour.signal,
  });
  const url = new URL(String(connection.ready['url']));
  tour.output(`{"event":"listening","host":"${url.hostname}","port":${url.port}, …}\n`);
  const right = await connectAdmin(url.href);
  await right.end();
  tour.finding("with the session's own password: let in");
  url.password = 'a-guess';
  const refusal = await connectAdmin(url.href).then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  if (refusal === undefined) {
    throw new TourFailure('a wrong password was accepted');
  }
  tour.finding(`with a guess: ${refusal}`);
}

async function replay(tour: Tour): Promise<void> {
  const { stdout } = await hoop(tour, ['sessions', 'list', '--json'], { show: false });
  const session = newestDeniedSession(stdout);
  tour.notes.set('session', session);
  await hoop(tour, ['sessions', 'list']);
  const run = await hoop(tour, ['sessions', 'replay', session]);
  expectText(run.stdout, 'DROP TABLE orders', 'the replay does not show the refused statement');
  expectText(run.stdout, 'still_there', 'the replay does not show the result');
}

async function verify(tour: Tour): Promise<void> {
  const file = join(tour.demo.directory, 'session.tar');
  tour.notes.set('bundle', file);
  await hoop(tour, ['sessions', 'download', note(tour, 'session'), '--out', file, '--force']);
  const run = await hoop(tour, ['sessions', 'verify', file]);
  expectText(run.stdout, 'verified (two-sided, not logged)', 'the verdict is another one');
}

async function tamper(tour: Tour): Promise<void> {
  const original = note(tour, 'bundle');
  const bytes = readFileSync(original);
  const place = bytes.indexOf('still_there');
  if (place < 0) {
    throw new TourFailure('the recording does not contain what was seen');
  }
  bytes[place] = (bytes[place] ?? 0) ^ 1;
  const file = `${original}.changed`;
  writeFileSync(file, bytes);
  const run = await hoop(tour, ['sessions', 'verify', file], { mayFail: true });
  if (run.exitCode !== 1) {
    throw new TourFailure(`the changed file was not refused (exit status ${run.exitCode})`);
  }
  expectText(run.stdout + run.stderr, 'was altered', 'the change is not named');
}

async function neverSeen(tour: Tour): Promise<void> {
  const { stdout } = await hoop(tour, ['sessions', 'list', '--json'], { show: false });
  const ids = sessionIds(stdout);
  for (const id of ids) {
    const file = join(tour.demo.directory, `${id}.tar`);
    await hoop(tour, ['sessions', 'download', id, '--out', file, '--force'], { show: false });
    refuseSecrets(readFileSync(file, 'latin1'));
  }
  tour.finding(`searched ${ids.length} recordings: no card number, no social security number`);
}

async function policyChanges(tour: Tour): Promise<void> {
  const { policy } = tour.demo;
  const more = (mask: string): string => `name: names
who: { groups: [engineering] }
targets: { names: [${DEMO_TARGET}] }
masks:
  - { column: public.customers.full_name, mask: ${mask} }
rules: []
`;
  const good = await policy.commit({
    files: { 'policies/names.yaml': more('full') },
    message: 'policy: names are private',
  });
  await until(
    tour,
    async () => (await commitInForce(tour)) === good,
    'the signed commit did not take effect',
    POLICY_POLL_MS,
  );
  tour.finding(`commit ${good.slice(0, 8)} is in force`);
  const run = await query(tour, ['SELECT id, full_name FROM customers ORDER BY id LIMIT 2']);
  if (run.stdout.includes(SAMPLE[0]?.name ?? '')) {
    throw new TourFailure('the new mask is not in force');
  }
  await policy.commit({
    files: { 'policies/names.yaml': undefined },
    message: 'policy: not signed by anyone',
    unsigned: true,
  });
  await until(
    tour,
    async () =>
      (await hoop(tour, ['policy', 'show', '--json'], { show: false })).stdout.includes('problem'),
    'the unsigned commit was not reported',
    POLICY_POLL_MS,
  );
  if ((await commitInForce(tour)) !== good) {
    throw new TourFailure('an unsigned commit took effect');
  }
  await hoop(tour, ['policy', 'show']);
  // Signed, the same is what holds: with --data the next tour begins as this one did.
  await policy.commit({ files: {}, message: 'policy: names as before' });
}

// ---------------------------------------------------------------- what the steps share

async function commitInForce(tour: Tour): Promise<string> {
  const { stdout } = await hoop(tour, ['targets', '--json'], { show: false });
  return String(field(JSON.parse(stdout), 'commit'));
}

function newestDeniedSession(json: string): string {
  const sessions = field(JSON.parse(json), 'sessions');
  const found = Array.isArray(sessions)
    ? sessions.find((entry) => Number(field(entry, 'denied')) > 0)
    : undefined;
  if (found === undefined) {
    throw new TourFailure('the session with the refused statement is not listed');
  }
  return String(field(found, 'id'));
}

function sessionIds(json: string): string[] {
  const sessions = field(JSON.parse(json), 'sessions');
  return Array.isArray(sessions)
    ? sessions
        .filter((entry) => field(entry, 'state') === 'uploaded')
        .map((entry) => String(field(entry, 'id')))
    : [];
}

function refuseSecrets(text: string): void {
  for (const customer of SAMPLE_CUSTOMERS) {
    if (
      text.includes(customer.cardNumber) ||
      text.includes(customer.ssn) ||
      text.includes(customer.email)
    ) {
      throw new TourFailure(`a secret of customer ${customer.id} came through`);
    }
  }
}

export function createTour(
  demo: Demo,
  screen: Pick<Tour, 'command' | 'output' | 'finding'>,
  options: {
    readonly path: string | undefined;
    readonly signal: AbortSignal;
    readonly width: number | undefined;
  },
): Tour {
  return {
    demo,
    client: chooseSqlClient(options.path),
    signal: options.signal,
    width: options.width,
    notes: new Map(),
    ...screen,
  };
}
