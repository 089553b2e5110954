/** The three forms of `hoop demo`: guided, `--check`, `--json`. */
import { existsSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Io } from '../commands/io.ts';
import { HoopError } from '../errors.ts';
import { renderJson } from '../ui/render-json.ts';
import { terminalWidth } from '../ui/text/terminal-width.ts';
import { wrapWords } from '../ui/text/wrap-words.ts';
import { doneOrAborted, onAbort } from '../until.ts';
import { DEMO_SERVER, DEMO_TARGET, type Demo, startDemo } from './demo.ts';
import { LAUNCHER } from './hoop-process.ts';
import { Pager } from './pager.ts';
import { createTour, TOUR } from './tour.ts';
import { TourFailure } from './tour-commands.ts';

export interface RunDemoOptions {
  readonly check?: boolean;
  readonly json?: boolean;
  readonly policy?: string;
  readonly postgres?: string;
  readonly data?: string;
}

export async function runDemo(io: Io, options: RunDemoOptions): Promise<void> {
  const guided =
    !options.check && !options.json && io.stdout.isTTY === true && io.stdin.isTTY === true;
  const takesTour = !options.json || options.check === true;
  if (takesTour && options.policy) {
    throw new HoopError('HOOP_USAGE', '--policy needs --json', {
      detail: "The tour shows what the demo's own policy does.",
    });
  }
  await using demo = await startDemo({
    ...(options.policy ? { policy: resolve(io.cwd, options.policy) } : {}),
    ...(options.postgres ? { postgres: options.postgres } : {}),
    // Child processes and the gateway's configuration have these paths, too.
    ...(options.data ? { data: resolve(io.cwd, options.data) } : {}),
    note: options.json ? () => undefined : (text) => io.note(`${text} …`),
    signal: io.signal,
  });
  try {
    await showDemo(io, demo, { guided, takesTour, json: options.json === true });
  } finally {
    if (io.signal.aborted) {
      io.note('stopping and cleaning up …');
    }
  }
}

async function showDemo(
  io: Io,
  demo: Demo,
  { guided, takesTour, json }: TourMode & { readonly takesTour: boolean },
): Promise<void> {
  if (!takesTour) {
    io.stdout.write(`${renderJson(readyLine(demo))}\n`);
    await stayUp(io, demo);
    return;
  }
  const failed = await takeTour(io, demo, { guided, json });
  if (failed > 0) {
    throw new HoopError(
      'HOOP_VERIFY_FAILED',
      `${failed} of ${TOUR.length} steps of the tour failed`,
      {
        hint: 'Please report this with the output above.',
      },
    );
  }
  if (guided) {
    await stayUp(io, demo);
  }
}

/** On fewer rows there would be more questions than text. */
const MIN_ROWS = 12;

interface TourMode {
  readonly guided: boolean;
  readonly json: boolean;
}

async function takeTour(io: Io, demo: Demo, mode: TourMode): Promise<number> {
  const { bold, dim, good, bad } = colors(io.color.stdout);
  let wantsMore = true;
  const pager = new Pager({
    write: (text) => io.stdout.write(text),
    size: () => (mode.guided ? screenOf(io) : undefined),
    more: async () => {
      wantsMore = await pressEnter(io, 'more');
      return wantsMore;
    },
  });
  const write = (text: string): void => {
    if (!mode.json) {
      pager.write(text);
    }
  };
  const tour = createTour(
    demo,
    {
      command: (text) => write(`\n  ${bold(`$ ${text}`)}\n`),
      output: (text) => write(foldMessages(text, outputWidth(io)).replace(/^(?=.)/gm, '  ')),
      finding: (text) => {
        const lines = wrapWords(text, outputWidth(io), { first: '→ ', rest: '  ' });
        write(`  ${good('→')} ${lines.join('\n  ').slice(2)}\n`);
      },
    },
    { path: io.env['PATH'], signal: io.signal, width: outputWidth(io) },
  );
  let failed = 0;
  let taken = 0;
  for (const [index, step] of TOUR.entries()) {
    io.signal.throwIfAborted();
    write(
      `\n${bold(`${index + 1}/${TOUR.length}  ${step.title}`)}\n${dim(wrap(step.explanation, 76))}\n`,
    );
    let problem: string | undefined;
    try {
      await step.run(tour);
    } catch (error) {
      if (!(error instanceof TourFailure) && !(error instanceof HoopError)) {
        throw error;
      }
      io.signal.throwIfAborted();
      problem = error.message;
      failed += 1;
    }
    if (mode.json) {
      const line = {
        event: 'step',
        v: 1,
        number: index + 1,
        title: step.title,
        ok: problem === undefined,
      };
      io.stdout.write(`${renderJson(problem === undefined ? line : { ...line, problem })}\n`);
    }
    write(problem === undefined ? `  ${good('✓ as expected')}\n` : `  ${bad(`✗ ${problem}`)}\n`);
    taken = index + 1;
    await pager.settled();
    if (!wantsMore || (mode.guided && taken < TOUR.length && !(await pressEnter(io, 'continue')))) {
      break;
    }
    pager.newScreen();
  }
  const ended =
    taken === TOUR.length
      ? 'Every step succeeded.'
      : `Ended after step ${taken} of ${TOUR.length}.`;
  write(failed === 0 ? `\n${good(ended)}\n` : '');
  await pager.settled();
  if (mode.guided && failed === 0) {
    // What the last step has shown must not scroll away under what comes now.
    if (wantsMore && taken === TOUR.length) {
      await pressEnter(io, 'what to try');
    }
    io.stdout.write(whatToTry(io, demo));
  }
  return failed;
}

/** Commands are shown indented by two. */
function outputWidth(io: Io): number | undefined {
  const width = terminalWidth(io.stdout, io.env);
  return width === undefined ? undefined : width - 2;
}

/** undefined: a terminal that does not know its size. */
function screenOf({ stdout }: Io): { columns: number; rows: number } | undefined {
  const { columns } = stdout;
  const rows: unknown = Reflect.get(stdout, 'rows');
  return columns !== undefined && columns > 0 && typeof rows === 'number' && rows >= MIN_ROWS
    ? { columns, rows }
    : undefined;
}

/**
 * The terminal stays in its own line mode: there Ctrl-C is a signal like everywhere else.
 * @returns false when the person wants no more of the tour: q, or Ctrl-D.
 */
async function pressEnter(io: Io, what: 'continue' | 'more' | 'what to try'): Promise<boolean> {
  const orEnd = what === 'what to try' ? '' : '   q, Enter: end the tour';
  await discardTyped(io);
  io.stderr.write(`\n  Enter: ${what}${orEnd} `);
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const lines = createInterface({ input: io.stdin, terminal: false });
  using _ = onAbort(io.signal, () => {
    // What is said next does not stand behind the question.
    io.stderr.write('\n');
    reject(io.signal.reason);
  });
  lines.once('line', (line) => resolve(!/^q/i.test(line.trim())));
  lines.once('close', () => resolve(false));
  try {
    return await promise;
  } finally {
    lines.close();
  }
}

/** What was typed while nothing was asked answers nothing. */
async function discardTyped({ stdin }: Io): Promise<void> {
  const discard = (): void => undefined;
  stdin.on('data', discard);
  // What the terminal holds is read in the first turn that asks for it; the second is for its events.
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  stdin.off('data', discard);
  stdin.pause();
}

/** The contract with programs that drive the demo; see docs/demo.md. */
function readyLine(demo: Demo): Record<string, unknown> {
  const targets = demo.targetNames.map((name) => [
    name,
    { kind: 'postgres', adminUrl: demo.target.adminUrl },
  ]);
  return {
    event: 'ready',
    v: 1,
    gateway: demo.gateway,
    ca: demo.ca,
    policyRepo: demo.policy.directory,
    signingKey: demo.policy.signingKey,
    targets: Object.fromEntries(targets),
    homes: demo.homes,
    ci: demo.ci,
  };
}

/** Fits on a screen of 24 rows: on 80 columns nothing here scrolls off. */
function whatToTry(io: Io, demo: Demo): string {
  // In a checkout there is no `hoop` on PATH.
  const isInstalled = (io.env['PATH'] ?? '')
    .split(delimiter)
    .some((entry) => existsSync(join(entry, 'hoop')));
  const alias = isInstalled ? '' : `  alias hoop="${LAUNCHER}"\n`;
  const home = demo.homes['engineer'] ?? '';
  const passwords = demo.accounts
    .map(({ name, password }) => `  ${name.padEnd(9)} ${password}`)
    .map((account, index) => (index % 2 === 0 ? `  ${account}` : `  ${account}\n`))
    .join('')
    .trimEnd();
  return `
Everything keeps running until Ctrl-C. In another terminal:

${alias}  export HOOP_HOME=${home}
  hoop connect ${DEMO_TARGET} -- psql
  hoop run --agent devin -- psql      # the same, as an agent that acts for you
${demo.server === undefined ? '' : `  hoop ssh ${DEMO_SERVER}\n`}  hoop sessions replay last

In psql, as the engineer, DELETE FROM orders WHERE id = 17; waits for a second
person. That is the dba, who decides here:
  HOOP_HOME=${demo.homes['dba'] ?? ''} hoop approvals

Or log in as somebody else (another HOOP_HOME) in your own browser:
  export HOOP_HOME=$(mktemp -d)
  hoop login --gateway ${demo.gateway} \\
    --ca ${demo.ca}
${passwords}

The policy is in ${demo.policy.directory}; commits signed with
${demo.policy.signingKey} take effect within 5 seconds.
`;
}

/** Until Ctrl-C or SIGTERM, or until the gateway dies under us. */
async function stayUp(io: Io, demo: Demo): Promise<void> {
  await doneOrAborted(demo.gatewayProcess().exited, io.signal);
  if (!io.signal.aborted) {
    throw new HoopError('HOOP_UNREACHABLE', 'the gateway of the demo has ended', {
      detail: demo.gatewayProcess().log().trim().slice(-1500),
    });
  }
}

function colors(
  enabled: boolean,
): Record<'bold' | 'dim' | 'good' | 'bad', (text: string) => string> {
  const code = (start: number, end: number) => (text: string) =>
    enabled ? `\u001b[${start}m${text}\u001b[${end}m` : text;
  return { bold: code(1, 22), dim: code(2, 22), good: code(32, 39), bad: code(31, 39) };
}

function wrap(text: string, width: number): string {
  const lines: string[] = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line.length + word.length + 1 > width) {
      lines.push(word);
    } else {
      lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
    }
  }
  return lines.map((line) => `  ${line}`).join('\n');
}

/** psql and ssh break no lines: their messages are folded for the screen, under their own label. */
const MESSAGE = /^((?:ERROR|WARNING|NOTICE|DETAIL|HINT|hoop): +)(.*)$/gm;

/** @param width columns; undefined: nothing is folded. Tables and all else stay as they are. */
export function foldMessages(text: string, width: number | undefined): string {
  return text.replace(MESSAGE, (_line, label: string, message: string) =>
    wrapWords(message, width, {
      first: label,
      rest: label.startsWith('hoop') ? 'hoop:   ' : ' '.repeat(label.length),
    }).join('\n'),
  );
}
