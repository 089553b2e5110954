/**
 * Some two hundred nasty texts, over PostgreSQL and over SSH, while somebody else works. Their
 * statements must not wait for them, and their session must live; so must the session that sends
 * them, since each of the texts is answered, or refused, in words.
 *
 *     npm run soak:nasty -- --only WITH
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { startHoop } from '../../src/demo/hoop-process.ts';
import { nastyTexts } from '../policy/sql/nasty-texts.ts';
import { nastyCommands } from '../policy/ssh/nasty-commands.ts';
import type { Bench } from './demo-bench.ts';
import { openSshBench } from './ssh-bench.ts';

/** What somebody else may have to wait, 99 times of 100. */
const MAX_P99_MS = 250;
/** Whoever sends a nasty text gives up then. */
const PATIENCE_MS = 20_000;
const THINK_MS = 20;
const SHOWN = 12;

const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } });

interface Wait {
  readonly ms: number;
  readonly during: string;
}

function check(what: string, isTrue: boolean, seen: unknown): void {
  process.stdout.write(`${isTrue ? 'ok  ' : 'FAIL'} ${what}: ${String(seen)}\n`);
  if (!isTrue) {
    process.exitCode = 1;
  }
}

function p99(waits: readonly Wait[]): number {
  const sorted = waits.map(({ ms }) => ms).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN;
}

/** Works until it is told to stop. */
class OtherUser {
  readonly waits: Wait[] = [];
  failure: unknown;
  during = 'nothing';
  #isOver = false;
  #done: Promise<void> | undefined;

  start(url: string): void {
    this.#done = this.#work(url).catch((error: unknown) => {
      this.failure = error;
    });
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  async #work(url: string): Promise<void> {
    const client = new pg.Client({ connectionString: url });
    client.on('error', (error) => {
      this.failure = error;
    });
    await client.connect();
    for (let turn = 0; !this.#isOver; turn += 1) {
      const { during } = this;
      const from = performance.now();
      // A text of its own each time: it is parsed and judged, not found.
      await client.query(`SELECT ${turn} AS turn, 'x${turn}' AS word`);
      this.waits.push({ ms: performance.now() - from, during });
      await sleep(THINK_MS);
    }
    await client.end();
  }
}

/** @returns how the server, or the gateway, has answered: SQLSTATE, or ok */
async function answered(url: string, text: string): Promise<string> {
  const client = new pg.Client({ connectionString: url, query_timeout: PATIENCE_MS });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query(`SET statement_timeout = '2s'`);
    // What it copies out nobody reads: the client knows no COPY, and says so.
    await client.query(text);
    return 'ok';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  } finally {
    // A server plans on, whatever its client does: what is not cut off is left.
    await Promise.race([client.end().catch(() => undefined), sleep(1000)]);
  }
}

async function commanded(config: string, command: string): Promise<string> {
  const child = spawn('ssh', ['-F', config, 'web-1', command], { stdio: 'ignore' });
  const timer = setTimeout(() => child.kill(), 20_000);
  const [status, signal] = await once(child, 'exit');
  clearTimeout(timer);
  return String(status ?? signal);
}

async function play(bench: Bench, other: OtherUser): Promise<number> {
  await using nasty = await bench.connect('engineer');
  await using server = await startHoop(['connect', 'web-1', '--json'], 'listening', {
    home: bench.home('engineer'),
  });
  let played = 0;
  const run = async (name: string, work: () => Promise<string>): Promise<void> => {
    if (!name.includes(values.only)) return;
    other.during = name;
    const from = performance.now();
    const answer = await work();
    const ms = Math.round(performance.now() - from);
    process.stdout.write(`     ${name}: ${answer}, ${ms} ms\n`);
    played += 1;
  };
  for (const { name, text } of nastyTexts()) {
    await run(name, () => answered(nasty.url, text));
  }
  for (const { name, command } of nastyCommands()) {
    await run(name, () => commanded(String(server.ready['config']), command));
  }
  check(
    'the session of the nasty texts goes on',
    (await answered(nasty.url, 'SELECT 1')) === 'ok',
    nasty.session,
  );
  return played;
}

await using servers = await openSshBench();
const { bench } = servers;
const admin = new pg.Client({ connectionString: bench.demo.target.adminUrl });
await admin.connect();
const columns = Array.from({ length: 1500 }, (_, at) => `c${at} int`).join(', ');
await admin.query(`CREATE TABLE public.items (id int, name text);
  CREATE TABLE public.wide (${columns});
  GRANT ALL ON public.items, public.wide TO ${bench.demo.target.user}`);
await admin.end();
await using connection = await bench.connect('engineer');
const other = new OtherUser();
other.start(connection.url);
await sleep(3000);
const before = other.waits.splice(0);
const played = await play(bench, other);
await other.stop();
const worst = [...other.waits].sort((a, b) => b.ms - a.ms).slice(0, SHOWN);
for (const { ms, during } of worst) {
  process.stdout.write(`     ${Math.round(ms)} ms during ${during}\n`);
}
process.stdout.write(`     ${played} texts; p99 before: ${p99(before).toFixed(0)} ms\n`);
check(
  `p99 of somebody else is below ${MAX_P99_MS} ms`,
  p99(other.waits) < MAX_P99_MS,
  `${p99(other.waits).toFixed(0)} ms of ${other.waits.length}`,
);
check('their session lives', other.failure === undefined, other.failure ?? connection.session);
await connection.close();
const { exitCode, stdout } = await bench.hoop('engineer', 'sessions', 'verify', connection.session);
check('both sides signed the same', exitCode === 0, stdout.split('\n')[0]);
