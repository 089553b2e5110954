/** What must be so after each kill -9, in the target, the store and the recordings. */
import { join } from 'node:path';
import type pg from 'pg';
import type { Statement } from '../../src/replay/timeline.ts';
import type { Bench } from './demo-bench.ts';
import { COMMANDS_AT_ONCE, type KillServer } from './kill-server.ts';
import type { KilledStore, StoredRow } from './kill-store.ts';
import { DAY_LIMIT, type Told, type Votes } from './kill-work.ts';

export interface Round {
  readonly number: number;
  readonly sessions: { readonly main: string; readonly counted: string; readonly server: string };
  readonly told: Readonly<Record<'lines' | 'held' | 'later' | 'counted' | 'server', Told>>;
}

/** Of a recording: as an index must have it, `effect tag` by `stream statement`. */
type Recorded = ReadonlyMap<string, string>;

export interface KillChecksOptions {
  readonly bench: Bench;
  /** Of the target. */
  readonly admin: pg.Client;
  readonly server: KillServer;
  readonly store: KilledStore;
  readonly votes: Votes;
}

const MARK = /'([a-z]\d+\.[^']*)'/;

export class KillChecks {
  readonly #options: KillChecksOptions;
  /** Recordings whose rows of the index are looked at when the gateway is dead again. */
  readonly #past = new Map<string, Recorded>();
  #failures = 0;
  #valid = 0;
  #statements = 0;
  #commands = 0;
  #releases = 0;
  #refusals = 0;

  constructor(options: KillChecksOptions) {
    this.#options = options;
  }

  summary(): string {
    return `${this.#valid} of them did something, ${this.#statements} statements, ${this.#commands} commands, ${this.#releases} released, ${this.#refusals} refused, ${this.#failures} failures`;
  }

  fail(what: string, seen: unknown): void {
    this.#failures += 1;
    process.exitCode = 1;
    process.stdout.write(`FAIL ${what}: ${String(seen)}\n`);
  }

  check(what: string, isTrue: boolean, seen: () => unknown): void {
    if (!isTrue) this.fail(what, seen());
  }

  /** What the target has. */
  async rows(table: string, like = '%'): Promise<string[]> {
    const sql = `SELECT line FROM public.${table} WHERE line LIKE $1`;
    return (await this.#options.admin.query(sql, [like])).rows.map(({ line }) => String(line));
  }

  #read(...sql: string[]): Promise<StoredRow[][]> {
    const { store, bench } = this.#options;
    return store.read(join(bench.demo.directory, 'gateway'), ...sql);
  }

  /** The gateway has been killed, and nothing was started. */
  async whileDead({ number, told }: Round): Promise<void> {
    await this.#targetHasEnded();
    const [budgets = []] = await this.#read(
      `SELECT used FROM changed_rows WHERE target = 'counted-${number}'`,
    );
    const used = Number(budgets[0]?.['used'] ?? 0);
    const counted = await this.rows('kill_counted', `c${number}.%`);
    this.check(
      `round ${number}: rows that were changed are counted, and within the limit`,
      counted.length <= used && used <= DAY_LIMIT,
      () => `${counted.length} changed, ${used} counted, ${DAY_LIMIT} allowed`,
    );
    for (const mark of told.counted.refused.keys()) {
      this.check(`${mark} was refused`, !counted.includes(mark), () => 'is in the target');
    }
    await this.indexOfPast();
  }

  /** What ran at the targets when the gateway died is over: nothing comes after this. */
  async #targetHasEnded(): Promise<void> {
    const { admin, bench, server } = this.#options;
    await server.server.dropConnections();
    for (;;) {
      const { rows } = await admin.query(
        'SELECT 1 FROM pg_stat_activity WHERE usename = $1 AND pid <> pg_backend_pid()',
        [bench.demo.target.user],
      );
      if (rows.length === 0) return;
    }
  }

  /** The rows of those whose recordings were read before, one by one, and what was told of them. */
  async indexOfPast(): Promise<void> {
    for (const [session, recorded] of this.#past) {
      const [rows = [], events = []] = await this.#read(
        `SELECT stream, statement, effect, tag FROM statements
         WHERE session = (SELECT number FROM sessions WHERE id = '${session}')`,
        `SELECT type, count(*) AS count FROM audit_events
         WHERE session = '${session}' AND type IN ('session.begin', 'session.end') GROUP BY type`,
      );
      this.check(
        `${session}: its begin and its end are told once each`,
        events.length === 2 && events.every(({ count }) => Number(count) === 1),
        () => JSON.stringify(events),
      );
      const index = new Map(
        rows.map((row) => [
          `${row['stream']} ${row['statement']}`,
          `${row['effect']} ${row['tag'] ?? ''}`,
        ]),
      );
      const differing = [...new Set([...index.keys(), ...recorded.keys()])].filter(
        (place) => index.get(place) !== recorded.get(place),
      );
      // What its server said last is in the stream; the gateway writes how an act ended when its channel has closed.
      const isUnended = (place: string): boolean =>
        index.get(place) === 'allow ' && recorded.get(place) === 'allow exit 0';
      const unended = differing.filter(isUnended);
      const differ =
        unended.length > COMMANDS_AT_ONCE
          ? differing
          : differing.filter((place) => !isUnended(place));
      this.check(`${session}: rows of the index are its recording`, differ.length === 0, () =>
        differ
          .map((place) => `${place}: index ${index.get(place)}, recording ${recorded.get(place)}`)
          .join('\n'),
      );
    }
    this.#past.clear();
  }

  async afterRestart(round: Round): Promise<void> {
    const { bench } = this.#options;
    const { number, sessions, told } = round;
    // The client's halves go up with whatever it does next.
    await bench.psql('engineer', 'SELECT 1 FROM public.kill_lines LIMIT 1');
    const released = await this.#approvals(round);
    const main = await this.#session(sessions.main, [
      ...(await this.rows('kill_lines', `k${number}.%`)),
      ...released.here,
    ]);
    const counted = await this.#session(
      sessions.counted,
      await this.rows('kill_counted', `c${number}.%`),
    );
    const server = await this.#session(sessions.server, this.#options.server.done(`s${number}.`));
    const refused = await this.rows('kill_refused');
    this.check('what the policy refuses runs nowhere', refused.length === 0, () => refused);
    for (const { done } of Object.values(told)) {
      const found = new Set([
        ...(await this.rows('kill_lines', `k${number}.%`)),
        ...(await this.rows('kill_counted', `c${number}.%`)),
        ...(await this.rows('kill_held', `h${number}.%`)),
        ...(await this.rows('kill_later')),
        ...this.#options.server.done(`s${number}.`),
      ]);
      const lost = [...done].filter((mark) => !found.has(mark));
      this.check('what was said to be done is done', lost.length === 0, () => lost);
    }
    const statements = main.statements + counted.statements;
    if (told.lines.done.size > 0) this.#valid += 1;
    this.#statements += statements;
    this.#commands += server.statements;
    this.#releases += released.here.length;
    this.#refusals += main.denied + counted.denied + server.denied;
    process.stdout.write(
      `ok   round ${number}: ${main.state}; ${counted.state}; ${server.state}, ${statements} statements, ${server.statements} commands, ${main.undecided + counted.undecided + server.undecided} undecided, ${released.here.length} released, ${released.used} used, ${main.denied + counted.denied + server.denied} refused\n`,
    );
  }

  /** Each approval is used once, by what people approved, and what has run has used one. */
  async #approvals({ number }: Round) {
    const { bench, votes } = this.#options;
    const reply = await bench.hoop('dba', 'approvals', 'list', '--all', '--json');
    const { approvals } = JSON.parse(reply.stdout) as {
      approvals: { id: string; state: string; session?: string; statement?: StatementText }[];
    };
    const held = await this.rows('kill_held');
    const later = await this.rows('kill_later');
    const ran = [...held, ...later];
    this.check('each runs once', new Set(ran).size === ran.length, () =>
      ran.filter((mark, at) => ran.indexOf(mark) !== at),
    );
    for (const mark of ran) {
      this.check(`${mark} was approved`, votes.approved.has(mark), () => 'and has run');
    }
    const byMark = Map.groupBy(approvals, ({ statement }) => MARK.exec(statement?.text ?? '')?.[1]);
    let used = 0;
    for (const [mark, requests] of byMark) {
      if (mark === undefined) continue;
      const usedOnes = requests.filter(({ state }) => state === 'used').length;
      used += usedOnes;
      const seen = (): string => requests.map(({ id, state }) => `${id} ${state}`).join(', ');
      this.check(`${mark} uses one approval at most`, usedOnes <= 1, seen);
      this.check(`${mark} has run by an approval`, !ran.includes(mark) || usedOnes === 1, seen);
      const open = requests.filter(({ state }) => state === 'waiting' || state === 'approved');
      const isOver = !mark.startsWith('h') || open.length === 0;
      this.check(`${mark} is not waited for any more`, isOver, seen);
    }
    const here = (mark: string): boolean =>
      mark.startsWith(`h${number}.`) || mark.startsWith(`l${number}.`);
    return { here: ran.filter(here), used };
  }

  /** @param marks that its statements have left at the target */
  async #session(session: string, marks: readonly string[]) {
    const { bench } = this.#options;
    const verified = await bench.hoop('engineer', 'sessions', 'verify', session);
    const isSaid =
      verified.exitCode === 2 && /one-sided|interim|gateway only/.test(verified.stdout);
    this.check(
      `${session} verifies`,
      verified.exitCode === 0 || isSaid,
      () => verified.stdout + verified.stderr,
    );
    const replay = await bench.hoop('engineer', 'sessions', 'replay', session, '--json');
    this.check(`${session} can be replayed`, replay.exitCode === 0, () => replay.stderr);
    const entries = replay.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Statement | { readonly type: 'other' });
    const statements = entries.filter((entry) => entry.type === 'statement');
    const target = new Set(marks);
    let undecided = 0;
    let denied = 0;
    const recorded = new Map<string, string>();
    for (const one of statements) {
      const mark = MARK.exec(one.text)?.[1] ?? '';
      const last = one.decisions.at(-1);
      if (last === undefined) {
        // Received, and not decided: it must have gone nowhere.
        undecided += 1;
        this.check(`${session}: ${mark} was not decided`, !target.has(mark), () => one.text);
      }
      for (const { effect, statement } of one.decisions) {
        const tag = effect === 'refuse' ? '' : tagOf(one);
        recorded.set(`${one.stream} ${statement}`, `${effect} ${tag}`);
      }
      if (last?.effect === 'refuse') {
        denied += 1;
        const isLater = mark.startsWith('l');
        this.check(`${session}: ${mark} was refused`, isLater || !target.has(mark), () => one.text);
      }
      if (last?.effect === 'approve') {
        const isReleased = one.approvals.some((step) => JSON.stringify(step).includes('released'));
        this.check(
          `${session}: ${mark} has run only where it was released`,
          isReleased || !target.has(mark) || mark.startsWith('l'),
          () => JSON.stringify(one),
        );
      }
    }
    const inRecording = new Set(
      statements
        .filter(({ decisions }) => decisions.some(({ effect }) => effect !== 'refuse'))
        .map(({ text }) => MARK.exec(text)?.[1]),
    );
    const missing = marks.filter((mark) => !inRecording.has(mark) && !mark.startsWith('l'));
    this.check(`${session} has what the target did`, missing.length === 0, () => missing);
    this.#past.set(session, recorded);
    const { stdout } = await bench.hoop('engineer', 'sessions', 'show', session, '--json');
    const shown = JSON.parse(stdout).session as Shown;
    this.check(`${session} has ended`, shown.state !== 'live', () => stdout);
    const decided = statements.length - undecided;
    this.check(
      `${session} has the statements of its recording in the index`,
      shown.statements === decided,
      () => `${shown.statements} and ${decided}`,
    );
    const state = verified.exitCode === 0 ? 'two-sided' : 'said to be one-sided';
    return { state: `${state}, ${shown.state}`, statements: decided, undecided, denied };
  }
}

/** As the index has it. */
function tagOf({ channel, results }: Statement): string {
  const exit = channel?.exit;
  if (exit === undefined) return results[0]?.tag ?? '';
  return 'status' in exit ? `exit ${exit.status}` : `signal ${exit.signal}`;
}

interface StatementText {
  readonly text: string;
}

interface Shown {
  readonly state: string;
  readonly statements: number;
}
