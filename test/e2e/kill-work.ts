/** What goes through a gateway that is about to be killed, and the policy under which it does. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Random } from '../../conformance/fuzz/random.ts';
import { openGateway } from '../../src/auth/open-gateway.ts';
import { ApprovalsClient } from '../../src/client/approvals-client.ts';

/** Rows that one person may change on a target with a budget; each round has a target of its own. */
export const DAY_LIMIT = 40;

export const TABLES = ['kill_lines', 'kill_held', 'kill_later', 'kill_counted', 'kill_refused'];

/** @param more files by path @returns its directory */
export function writeKillPolicy(rounds: number, more: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'hoop-kill-'));
  const write = (file: string, text: string): void => writeFileSync(join(directory, file), text);
  mkdirSync(join(directory, 'targets'));
  mkdirSync(join(directory, 'policies'));
  write(
    'hoop.yaml',
    'version: 1\norg: soak\nidentityProviders: []\nroles:\n  auditor: { groups: [auditors] }\n  approver: { groups: [approvers] }\n',
  );
  const target = (name: string): void =>
    write(
      `targets/${name}.yaml`,
      `name: ${name}\nkind: postgres\ndatabase: shop\ncredential: prod-db\nrecording: full\n`,
    );
  target('prod-db');
  const counted = Array.from({ length: rounds }, (_, round) => `counted-${round}`);
  counted.forEach(target);
  write(
    'policies/soak.yaml',
    `name: soak
who: { groups: [engineering] }
targets: { names: [prod-db] }
rules:
  - name: work
    allow: { verbs: [select, insert], relations: ['public.kill_lines'] }
  - name: held
    approve: { verbs: [insert], relations: ['public.kill_held'], approvers: [dba], timeout: 60s }
  - name: later
    approve: { verbs: [insert], relations: ['public.kill_later'], approvers: [dba], timeout: 60m, wait: no }
`,
  );
  write(
    'policies/counted.yaml',
    `name: counted
who: { groups: [engineering] }
targets: { names: [${counted.join(', ')}] }
limits: { changedRowsPerDay: ${DAY_LIMIT} }
rules:
  - name: work
    allow: { verbs: [insert], relations: ['public.kill_counted'] }
`,
  );
  for (const [file, text] of Object.entries(more)) write(file, text);
  return directory;
}

/** Until the connection breaks. */
async function onConnection(url: string, use: (client: pg.Client) => Promise<never>) {
  const client = new pg.Client({ connectionString: url });
  const broken = Promise.withResolvers<never>();
  client.on('error', broken.reject);
  client.on('end', () => broken.reject(new Error('ended')));
  broken.promise.catch(() => undefined);
  const using = client.connect().then(() => use(client));
  await Promise.race([using, broken.promise]).catch(() => undefined);
}

/** @returns undefined: done; the code of a refusal, or '' where the connection broke */
async function insert(client: pg.Client, table: string, mark: string): Promise<string | undefined> {
  try {
    await client.query(`INSERT INTO public.${table} VALUES ('${mark}')`);
    return undefined;
  } catch (error) {
    const { message } = error as Error;
    const code = /HOOP_[A-Z_]+/.exec(message)?.[0];
    if (code === undefined) throw error;
    return code;
  }
}

/** What the clients were told. */
export interface Told {
  readonly sent: Set<string>;
  readonly done: Set<string>;
  readonly refused: Map<string, string>;
}

export const newTold = (): Told => ({ sent: new Set(), done: new Set(), refused: new Map() });

async function tell(client: pg.Client, table: string, mark: string, told: Told) {
  told.sent.add(mark);
  const code = await insert(client, table, mark);
  if (code === undefined) told.done.add(mark);
  else told.refused.set(mark, code);
  return code;
}

/** One after the other, without anybody else. */
export const work = (url: string, table: string, prefix: string, told: Told): Promise<void> =>
  onConnection(url, async (client) => {
    for (let count = 0; ; count += 1) {
      const code = await tell(client, table, `${prefix}.${count}.`, told);
      if (code !== undefined) await sleep(20);
    }
  });

/** Now one that the policy refuses, now one that it allows: both are decided in one lot. */
export const workAndBeRefused = (url: string, prefix: string, told: Told): Promise<void> =>
  onConnection(url, async (client) => {
    for (let count = 0; ; count += 1) {
      const table = count % 2 === 0 ? 'kill_refused' : 'kill_lines';
      await tell(client, table, `${prefix}.${count}.`, told);
    }
  });

/** Each is sent until it runs, and then once more: nobody has approved that. */
export const workLater = (
  url: string,
  marks: readonly string[],
  prefix: string,
  told: Told,
): Promise<void> =>
  onConnection(url, async (client) => {
    const untilDone = async (mark: string): Promise<void> => {
      while ((await tell(client, 'kill_later', mark, told)) === 'HOOP_APPROVAL_PENDING') {
        await sleep(20);
      }
      await tell(client, 'kill_later', mark, told);
    };
    // Of the round before: approved, and perhaps used. At most one send, as nobody approves again.
    for (const mark of marks) await tell(client, 'kill_later', mark, told);
    for (let count = 0; ; count += 1) await untilDone(`${prefix}.${count}.`);
  });

/** What people said, by mark; said when it was sent, which is not yet when it has come. */
export interface Votes {
  readonly approved: Set<string>;
  readonly denied: Set<string>;
}

/** Approves each mark at most once, and denies what is asked again, until the gateway has gone or it is stopped. */
export async function decideAll(
  home: string,
  random: Random,
  votes: Votes,
  { until, onApprove }: { readonly until: AbortSignal; readonly onApprove: () => void },
): Promise<void> {
  await using gateway = await openGateway({ env: { HOOP_HOME: home, HOOP_TOKEN_STORE: 'file' } });
  const client = new ApprovalsClient(gateway.client);
  while (!until.aborted) {
    try {
      const { approvals } = await client.list({ limit: '50' }, until);
      for (const { id, binding, state, statement } of approvals) {
        const mark = /'(.*)'/.exec(statement?.text ?? '')?.[1];
        if (mark === undefined || state !== 'waiting') continue;
        const isAgain = votes.approved.has(mark) || votes.denied.has(mark);
        const decision =
          isAgain || random.below(6) === 0 ? ('deny' as const) : ('approve' as const);
        if (!isAgain) votes[decision === 'deny' ? 'denied' : 'approved'].add(mark);
        const reason = decision === 'deny' ? { reason: 'not this one' } : {};
        const decided = client.decide(id, { decision, binding, ...reason }, until);
        if (decision === 'approve') onApprove();
        await decided;
      }
      await sleep(30);
    } catch {
      await sleep(100);
    }
  }
}
