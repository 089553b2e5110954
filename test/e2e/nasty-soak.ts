/**
 * Some two hundred and fifty nasty texts and floods of messages, over PostgreSQL, SSH and sftp, while
 * somebody else works. Their statements must not wait for them, and their session must live; so must
 * the session that sends them, since each of the texts is answered, or refused, in words. Somebody
 * who does the same without hoop shows what the machine and the server are to blame for.
 *
 *     npm run soak:nasty -- --only WITH
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { type HoopService, startHoop } from '../../src/demo/hoop-process.ts';
import { RawClient, type Received } from '../connectors/postgres/gateway/raw-client.ts';
import { nastyTexts } from '../connectors/postgres/policy/nasty-texts.ts';
import { nastyCommands } from '../connectors/ssh/policy/nasty-commands.ts';
import { addCodeTarget, CODE_TARGET } from './code-target.ts';
import type { Bench } from './demo-bench.ts';
import { nastyFloods } from './nasty-floods.ts';
import { type NastyMessages, nastyCode, nastyMessages, nastySftp } from './nasty-messages.ts';
import { OtherUser, type Wait } from './other-user.ts';
import { openSshBench } from './ssh-bench.ts';

/** What somebody else may have to wait, 99 times of 100. */
const MAX_P99_MS = 250;
/** Whoever sends a nasty text gives up then. */
const PATIENCE_MS = 20_000;
const SHOWN = 12;

const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } });

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

/** @returns how many ReadyForQuery and errors came; a server that takes too long is cut off */
async function flooded(url: string, { messages, answers }: NastyMessages): Promise<string> {
  const login = new pg.Client({ connectionString: url });
  login.on('error', () => undefined);
  await login.connect();
  // pg's own, whose login is done; from here on nobody but us reads it.
  const socket = Reflect.get(Reflect.get(login, 'connection'), 'stream') as Socket;
  socket.removeAllListeners('data');
  const client = new RawClient(socket);
  try {
    let [ready, errors] = [0, 0];
    client.received.length = 0;
    client.send(messages);
    const isOver = (received: readonly Received[]): boolean => {
      for (const { type } of received) {
        ready += type === 'Z' ? 1 : 0;
        errors += type === 'E' ? 1 : 0;
      }
      client.received.length = 0;
      return ready >= answers;
    };
    await Promise.race([client.until(isOver), sleep(PATIENCE_MS)]);
    return `${ready} answers, ${errors} errors${client.isClosed ? ', closed' : ''}`;
  } finally {
    client.socket.destroy();
  }
}

/** @param args of ssh; the command is read and decided, and its shell leaves before it does it */
async function commanded(args: readonly string[], input?: Buffer): Promise<string> {
  const child = spawn('ssh', args, { stdio: ['pipe', 'ignore', 'ignore'] });
  child.stdin.on('error', () => undefined).end(input);
  const timer = setTimeout(() => child.kill(), PATIENCE_MS);
  const [status, signal] = await once(child, 'exit');
  clearTimeout(timer);
  return String(status ?? signal);
}

/** Why a `hoop connect` has gone, as it says it; the reason comes before its recording is delivered. */
async function lastWords({ exited, log }: HoopService, lines: readonly object[]): Promise<string> {
  const status = await Promise.race([exited, sleep(1000, 'none')]);
  const closing = lines.filter((line) => 'event' in line && line.event === 'closing');
  const reason = `     exit status ${status}; ${JSON.stringify(closing)}; its last words:\n`;
  return `${reason}${log().slice(-3000)}\n`;
}

async function play(bench: Bench, turn: (name: string) => Promise<void>): Promise<number> {
  await using nasty = await bench.connect('engineer');
  await using server = await startHoop(['connect', 'web-1', '--json'], 'listening', {
    home: bench.home('engineer'),
  });
  const config = String(server.ready['config']);
  let played = 0;
  const run = async (name: string, work: () => Promise<string>): Promise<void> => {
    if (!name.includes(values.only)) return;
    await turn(name);
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
    await run(name, () => commanded(['-F', config, 'web-1', `exit 0; ${command}`]));
  }
  for (const { name, bytes } of nastySftp(bench.demo.directory)) {
    await run(name, () => commanded(['-F', config, '-s', 'web-1', 'sftp'], bytes));
  }
  const names = Array.from({ length: 1000 }, (_, at) => `LC_A${at}=${'x'.repeat(50)}`).join(' ');
  const sessions = Array.from({ length: 60 }, () => ['-F', config, 'web-1', 'exit 0']);
  const environment = ['-o', `SetEnv=${names}`, '-F', config, 'web-1', 'exit 0'];
  await run('1,000 variables of ssh', () => commanded(environment));
  await run('a subsystem that is not there', () => commanded(['-F', config, '-s', 'web-1', 'x']));
  await run('60 connections of ssh at once', async () =>
    (await Promise.all(sessions.map((args) => commanded(args)))).join(' '),
  );
  for (const one of nastyMessages()) {
    await run(one.name, () => flooded(nasty.url, one));
  }
  const codeLines: object[] = [];
  await using code = await startHoop(['connect', CODE_TARGET, '--json'], 'listening', {
    home: bench.home('engineer'),
    onLine: (line) => codeLines.push({ ...line }),
  });
  for (const one of nastyCode()) {
    await run(one.name, async () => {
      const answer = await flooded(String(code.ready['url']), one);
      const wanted = `${one.answers} answers, 0 errors`;
      check('the code of the flood ran', answer === wanted, answer);
      return answer;
    });
  }
  const places = { gateway: bench.demo.gateway, home: bench.home('engineer'), localUrl: nasty.url };
  for (const { name, run: flood } of nastyFloods(places)) await run(name, flood);
  for (const [url, service, lines] of [
    [nasty.url, nasty.service, nasty.lines],
    [String(code.ready['url']), code, codeLines],
  ] as const) {
    const answer = await answered(url, 'SELECT 1').catch(String);
    check(
      `the session ${service.ready['session']} of the nasty texts goes on`,
      answer === 'ok',
      answer,
    );
    if (answer !== 'ok') process.stdout.write(await lastWords(service, lines));
  }
  return played;
}

await using servers = await openSshBench();
const { bench } = servers;
await addCodeTarget(bench);
const admin = new pg.Client({ connectionString: bench.demo.target.adminUrl });
await admin.connect();
const columns = Array.from({ length: 1500 }, (_, at) => `c${at} int`).join(', ');
await admin.query(`CREATE TABLE public.items (id int, name text);
  CREATE TABLE public.wide (${columns});
  GRANT ALL ON public.items, public.wide TO ${bench.demo.target.user}`);
await admin.end();
await using connection = await bench.connect('engineer');
const users = [new OtherUser(connection.url), new OtherUser(bench.demo.target.adminUrl)];
await Promise.all(users.map((user) => user.during('warming up')));
await sleep(3000);
await Promise.all(users.map((user) => user.during('nothing')));
await sleep(5000);
const waits: Wait[][] = users.map(() => []);
const failures: string[] = [];
const collect = async (name: string | undefined): Promise<void> => {
  for (const [index, user] of users.entries()) {
    const report = await (name === undefined ? user.stop() : user.during(name));
    waits[index]?.push(...report.waits);
    failures.push(...(report.failure === undefined ? [] : [report.failure]));
  }
};
const played = await play(bench, collect);
await collect(undefined);
const [mine = [], direct = []] = waits;
const isBefore = ({ during }: Wait): boolean => during === 'nothing';
const [before, directBefore] = [mine.filter(isBefore), direct.filter(isBefore)];
const [meanwhile, directMeanwhile] = [mine, direct].map((all) =>
  all.filter((one) => !isBefore(one)),
);
const worst = (meanwhile ?? []).toSorted((a, b) => b.ms - a.ms).slice(0, SHOWN);
for (const { ms, during } of worst) {
  const same = direct.filter((wait) => wait.during === during).map((wait) => wait.ms);
  const line = `${Math.round(ms)} ms during ${during}; direct ${Math.round(Math.max(0, ...same))} ms`;
  process.stdout.write(`     ${line}\n`);
}
const figure = (all: readonly Wait[] = []): string => `${p99(all).toFixed(0)} ms of ${all.length}`;
process.stdout.write(`     ${played} texts; p99 before: ${figure(before)}\n`);
process.stdout.write(
  `     p99 without hoop: before ${figure(directBefore)}, meanwhile ${figure(directMeanwhile)}\n`,
);
check(
  `p99 of somebody else is below ${MAX_P99_MS} ms`,
  p99(meanwhile ?? []) < MAX_P99_MS,
  figure(meanwhile),
);
check('their session lives', failures.length === 0, failures[0] ?? connection.session);
await connection.close();
const { exitCode, stdout } = await bench.hoop('engineer', 'sessions', 'verify', connection.session);
check('both sides signed the same', exitCode === 0, stdout.split('\n')[0]);
