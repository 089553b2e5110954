/**
 * Mutated SQL in random messages through the real gateway and CLI, under the strict policy, for a
 * while: what the server ran is, byte for byte, what the recording says was allowed.
 */
import { SqlParser } from '../../src/connectors/postgres/policy/parse/parser.ts';
import { runHoop, startHoop } from '../../src/demo/hoop-process.ts';
import { readCorpus } from '../fuzz/corpus.ts';
import { decidedText } from '../fuzz/decided.ts';
import { LONGEST_STATEMENT_MS, playPrograms } from '../fuzz/play-programs.ts';
import { type Random, randomOf } from '../fuzz/random.ts';
import { parseServerLog } from '../fuzz/server-log.ts';
import { type DecidedText, unparsedTexts } from '../fuzz/unparsed.ts';
import { DATABASE, ROLE, runAdmin } from '../open-lane.ts';
import { TARGET } from '../policies.ts';
import type { Outputs, Suite, SuiteContext } from '../suite.ts';

/** Of one session, whose recording is read as a whole. */
const PROGRAMS = 1000;
/** As much as a program asks for is read by nobody; what runs longer is cancelled. */
const ROLE_SETTINGS = ["log_statement = 'all'", `statement_timeout = ${LONGEST_STATEMENT_MS}`];

const WANTED = new Map([
  ['reached the server and was not allowed', ''],
  ['some allowed, some refused', 'true'],
]);

export const fuzz: Suite = {
  name: 'fuzz',
  missing: () => undefined,
  async run(context) {
    // Straight there is no decision, and a passthrough grant decides about nothing.
    const home = context.lane.name === 'strict' ? context.home : undefined;
    if (home === undefined) return WANTED;
    const { seed, seconds } = context.options.fuzz;
    await alterRole(context, (setting) => `SET ${setting}`);
    const found: string[] = [];
    const count = { allowed: 0, refused: 0, ran: 0 };
    const until = performance.now() + seconds * 1000;
    let sessions = 0;
    while (performance.now() < until && found.length === 0) {
      const session = await fuzzSession(context, home, {
        random: randomOf(seed + sessions),
        until,
        mark: `the end of ${seed + sessions}`,
      });
      found.push(...session.unparsed.map((text) => `seed ${seed + sessions}: ${text}\n`));
      sessions += 1;
      for (const { isAllowed } of session.decided) count[isAllowed ? 'allowed' : 'refused'] += 1;
      count.ran += session.ran;
    }
    await alterRole(context, (setting) => `RESET ${setting.split(' ')[0]}`);
    context.say(
      `seeds ${seed} to ${seed + sessions - 1}: ${count.allowed} allowed, ${count.refused} refused; the server ran ${count.ran}`,
    );
    const outputs: Outputs = new Map([
      ['reached the server and was not allowed', found.join('')],
      [
        'some allowed, some refused',
        String(count.allowed > 0 && count.refused > 0 && count.ran > 0),
      ],
    ]);
    return outputs;
  },
};

async function fuzzSession(
  context: SuiteContext,
  home: string,
  of: { readonly random: Random; readonly until: number; readonly mark: string },
): Promise<{
  readonly decided: readonly DecidedText[];
  readonly unparsed: readonly string[];
  readonly ran: number;
}> {
  let log = '';
  let onLog = (): void => undefined;
  using _listening = context.onServerLog((text) => {
    log += text;
    onLog();
  });
  const { signal } = context;
  const service = await startHoop(['connect', TARGET, '--json'], 'listening', { home, signal });
  let processIds: ReadonlySet<number>;
  try {
    const url = new URL(String(service.ready['url']));
    const address = {
      ...{ host: url.hostname, port: Number(url.port), database: DATABASE },
      ...{ user: url.username, password: decodeURIComponent(url.password) },
    };
    const isOver = (played: number): boolean =>
      played >= PROGRAMS || performance.now() >= of.until || signal.aborted;
    processIds = await playPrograms(address, readCorpus(), of.random, isOver);
  } finally {
    await service[Symbol.asyncDispose]();
  }
  // The log comes through a pipe: what is asked last is seen last.
  const seen = new Promise<void>((resolve) => {
    onLog = () => {
      if (log.includes(of.mark)) resolve();
    };
  });
  await runAdmin(context.adminUrl, ["SET log_statement = 'all'", `SELECT '${of.mark}'`]);
  await seen;
  const ran = parseServerLog(log).filter(({ processId }) => processIds.has(processId));
  const decided = await recordedDecisions(home, String(service.ready['session']));
  return { decided, unparsed: unparsedTexts(ran, decided), ran: ran.length };
}

async function recordedDecisions(home: string, session: string): Promise<readonly DecidedText[]> {
  const replay = await runHoop(['sessions', 'replay', session, '--json'], { home });
  if (replay.exitCode !== 0) throw new Error(`hoop sessions replay failed: ${replay.stderr}`);
  await using parser = SqlParser.create();
  const decided: DecidedText[] = [];
  for (const line of replay.stdout.split('\n')) {
    const entry: unknown = line === '' ? undefined : JSON.parse(line);
    if (!isStatement(entry)) continue;
    const sent = { text: entry.text, isSimple: entry.protocol === 'simple' };
    const effects = entry.decisions.map(({ effect }) => effect);
    decided.push(await decidedText(parser, sent, effects));
  }
  return decided;
}

interface RecordedStatement {
  readonly text: string;
  readonly protocol: string;
  readonly decisions: readonly { readonly effect: string }[];
}

function isStatement(entry: unknown): entry is RecordedStatement {
  return (
    typeof entry === 'object' && entry !== null && 'type' in entry && entry.type === 'statement'
  );
}

/** For connections from now on. */
async function alterRole(
  context: SuiteContext,
  change: (setting: string) => string,
): Promise<void> {
  await runAdmin(
    context.adminUrl,
    ROLE_SETTINGS.map((setting) => `ALTER ROLE ${ROLE} ${change(setting)}`),
  );
}
