/**
 * After a fenced run: what it has changed of what runs by itself later, shown and asked for. Nobody
 * loses work by an answer: what is not kept is put aside, and where it is is told.
 */

import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { HoopError } from '../../errors.ts';
import type { Home } from '../../home.ts';
import { isBelow } from '../../run/fence/is-below.ts';
import type { AfterRun, Change } from '../../run/later/later-changes.ts';
import { EarlierChanges, type RunChanges } from '../../run/later/owed-changes.ts';
import { canPutBack, putBack, removeEmpty } from '../../run/later/put-back.ts';
import { stateAt } from '../../run/later/watched-files.ts';
import { changeLines, changeWords } from '../../ui/render-change.ts';
import { renderJson } from '../../ui/render-json.ts';
import { plain } from '../../ui/text/printable.ts';
import { type Style, styleFor } from '../../ui/text/style.ts';
import { plural } from '../../ui/text/times.ts';
import { onAbort } from '../../until.ts';
import type { Io } from '../io.ts';
import type { ChangeFlags } from './fence-flags.ts';

export interface ReviewFlags extends ChangeFlags {
  readonly json?: boolean;
}

export interface ReviewOptions {
  readonly flags: ReviewFlags;
  readonly home: Home;
  /** Names the directory of what is put aside. */
  readonly run: string;
}

type Outcome =
  | { readonly change: Change; readonly done: 'kept' | 'undecided' }
  | { readonly change: Change; readonly done: 'restored'; readonly aside?: string }
  | { readonly change: Change; readonly done: 'not restored'; readonly why: string };

const MAX_NAMED = 20;
/** Of directories that were not looked at, in JSON: a run can make any number of them. */
const MAX_NOT_LOOKED_AT = 100;
const DRAIN_MS = 50;

/** When nothing of the run is left that could write. */
export async function reviewRun(
  io: Io,
  owed: Pick<RunChanges, 'after' | 'settle'>,
  options: ReviewOptions,
): Promise<void> {
  const decided = await decide(io, owed.after(), 'the run', options);
  try {
    owed.settle(stillOpen(decided));
  } finally {
    // Also on a full disk: what was restored, and where what stood there is now.
    tell(io, decided, options);
  }
}

/**
 * Before a run: what earlier ones here have left, killed or with nobody to ask.
 * @returns what nobody has decided about
 */
export async function reviewEarlier(io: Io, options: ReviewOptions): Promise<AfterRun> {
  const earlier = EarlierChanges.in(options.home, io.cwd);
  const who = earlier.wasKilled
    ? 'a fenced run here that was killed'
    : 'an earlier fenced run here';
  const decided = await decide(io, earlier, who, options);
  const open = stillOpen(decided);
  try {
    earlier.settle(open);
  } finally {
    tell(io, decided, options, `${who}: `);
  }
  return open;
}

/** @throws HoopError HOOP_CHANGES_OWED: what was left would have all rights in a run without a fence */
export function requireDecided({ changes, notLookedAt }: AfterRun): void {
  const [first = ''] = [...changes.map(({ path }) => path), ...notLookedAt];
  const count = changes.length + notLookedAt.length;
  if (count === 0) return;
  const more = count === 1 ? '' : ` and ${count - 1} more`;
  throw new HoopError(
    'HOOP_CHANGES_OWED',
    'changes that an earlier fenced run left here have not been reviewed',
    {
      detail: plain(
        `Other programs load these files automatically, and without a fence they would do so with all your rights: ${first}${more}.`,
      ),
      hint: 'Review them, then run this again with --keep-changes or --restore-changes; on a terminal `hoop run` asks. With --fence the run starts.',
    },
  );
}

interface Decided {
  readonly outcomes: readonly Outcome[];
  readonly notLookedAt: readonly string[];
  /** A person has looked there. */
  readonly isSeen: boolean;
}

function stillOpen({ outcomes, notLookedAt, isSeen }: Decided): AfterRun {
  return {
    changes: outcomes
      .filter(({ done }) => done === 'undecided' || done === 'not restored')
      .map(({ change }) => change),
    notLookedAt: isSeen ? [] : notLookedAt,
  };
}

async function decide(
  io: Io,
  { changes, notLookedAt }: AfterRun,
  during: string,
  { flags, home, run }: ReviewOptions,
): Promise<Decided> {
  const all = (done: 'kept' | 'undecided'): readonly Outcome[] =>
    changes.map((change) => ({ change, done }));
  if (flags.keepChanges) return { outcomes: all('kept'), notLookedAt, isSeen: true };
  const aside = asideOf({ home, run });
  if (flags.restoreChanges) {
    const outcomes = inOrder(changes).map((change) => restore(change, aside));
    return { outcomes, notLookedAt, isSeen: false };
  }
  const canAsk = io.stdin.isTTY && io.stderr.isTTY && !io.quiet && flags.json !== true;
  if (!canAsk || changes.length + notLookedAt.length === 0) {
    return { outcomes: all('undecided'), notLookedAt, isSeen: false };
  }
  if (changes.length > 0) {
    const files = plural(changes.length, 'file');
    io.note(
      `${during} changed ${files} that other programs load automatically later; answer with a letter and Enter:`,
    );
  }
  return new Dialog(io, aside).ask(inOrder(changes), notLookedAt);
}

/** Links first: what is behind one can be put back only when it is gone. */
function inOrder(changes: readonly Change[]): readonly Change[] {
  const isLink = ({ after }: Change): number => (after.kind === 'link' ? 0 : 1);
  return changes.toSorted((a, b) => isLink(a) - isLink(b));
}

function restore(change: Change, aside: string): Outcome {
  if (!canPutBack(change)) {
    return { change, done: 'not restored', why: 'hoop has no copy of the earlier content' };
  }
  const result = putBack(change, aside);
  if (!result.done) return { change, done: 'not restored', why: result.why };
  if (change.before?.kind === 'absent') removeEmpty(change);
  return {
    change,
    done: 'restored',
    ...(result.aside === undefined ? {} : { aside: result.aside }),
  };
}

/** Names what r does: a file that is new is removed. */
function question(change: Change): string {
  const back = isNew(change) ? 'remove' : 'restore';
  return `keep (k), ${back} (r), keep all (K), restore all (R), show in full (s)? `;
}

function isNew({ before }: Change): boolean {
  return before?.kind === 'absent';
}

class Dialog {
  readonly #io: Io;
  readonly #aside: string;
  readonly #style: Style;
  #forAll: 'k' | 'r' | undefined;

  constructor(io: Io, aside: string) {
    this.#io = io;
    this.#aside = aside;
    this.#style = styleFor(io.color.stderr);
  }

  /** Who leaves (Ctrl-C, Ctrl-D) is asked by the next run. */
  async ask(changes: readonly Change[], notLookedAt: readonly string[]): Promise<Decided> {
    const outcomes: Outcome[] = [];
    let hasLeft = false;
    using lines = new Lines(this.#io);
    for (const [index, change] of changes.entries()) {
      const number = `${index + 1}/${changes.length}`;
      const outcome: Outcome | undefined = hasLeft
        ? undefined
        : await this.#one(change, number, lines);
      hasLeft ||= outcome === undefined;
      outcomes.push(outcome ?? { change, done: 'undecided' });
    }
    const isSeen = notLookedAt.length > 0 && !hasLeft && (await this.#seen(notLookedAt, lines));
    return { outcomes, notLookedAt, isSeen };
  }

  async #seen(notLookedAt: readonly string[], lines: Lines): Promise<boolean> {
    this.#io.note(plain(`${notLookedWords(notLookedAt)}. Check there yourself`));
    const answer = await lines.answer('hoop: done (k), or ask again at the next run (Enter)? ');
    return answer?.trim().toLowerCase() === 'k';
  }

  async #one(first: Change, number: string, lines: Lines): Promise<Outcome | undefined> {
    let change = first;
    if (this.#forAll === undefined) this.#show(change, number, false);
    for (;;) {
      const answer = this.#forAll ?? (await lines.answer(`hoop: ${question(change)}`));
      if (answer === undefined) return undefined;
      const word = answer.trim();
      if (word === 'K' || word === 'R') this.#forAll = word === 'K' ? 'k' : 'r';
      const letter = word.toLowerCase();
      if (letter === 's') {
        this.#show(change, number, true);
      } else if (letter === 'k') {
        return { change, done: 'kept' };
      } else if (letter === 'r') {
        const outcome = restore(change, this.#aside);
        if (outcome.done !== 'not restored' || outcome.why !== 'changed again') return outcome;
        // What is restored is what was seen.
        change = { ...change, after: stateAt(change.place, change.path) };
        this.#forAll = undefined;
        this.#io.note(plain(`${change.path} was changed again just now:`));
        this.#show(change, number, false);
      } else {
        this.#io.note('no such answer: type k, r, K, R or s, and Enter');
      }
    }
  }

  #show(change: Change, number: string, isAll: boolean): void {
    const { bold } = this.#style;
    const heading = `${number} ${bold(plain(change.path))}: ${plain(changeWords(change))}`;
    const lines = [heading, ...changeLines(change, this.#style, isAll)];
    this.#io.stderr.write(`${lines.join('\n')}\n`);
  }
}

/** Typed lines, one for each question; none is taken for two. */
class Lines implements Disposable {
  readonly #io: Io;
  readonly #interface: ReturnType<typeof createInterface>;
  readonly #typed: string[] = [];
  #isOver = false;
  #wait: (() => void) | undefined;
  readonly #release: Disposable;

  constructor(io: Io) {
    this.#io = io;
    this.#interface = createInterface({ input: io.stdin, terminal: false });
    this.#interface.on('line', (line) => {
      this.#typed.push(line);
      this.#wait?.();
    });
    this.#interface.on('close', () => this.#end());
    this.#release = onAbort(io.signal, () => this.#end());
  }

  /** @returns undefined: nobody answers any more */
  async answer(question: string): Promise<string | undefined> {
    if (this.#isOver) return undefined;
    // What was typed before the question was seen, or answered by the terminal, does not answer it.
    await delay(DRAIN_MS);
    this.#typed.length = 0;
    this.#io.stderr.write(question);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wait = resolve;
    await promise;
    this.#wait = undefined;
    const line = this.#typed.shift();
    if (line === undefined) this.#io.stderr.write('\n');
    return line;
  }

  #end(): void {
    this.#isOver = true;
    this.#wait?.();
  }

  [Symbol.dispose](): void {
    this.#release[Symbol.dispose]();
    this.#interface.close();
    this.#io.stdin.pause();
  }
}

function tell(
  io: Io,
  { outcomes, notLookedAt, isSeen }: Decided,
  { flags, home, run }: ReviewOptions,
  who = '',
): void {
  if (outcomes.length === 0 && notLookedAt.length === 0) return;
  if (flags.json) {
    const changes = outcomes.map(({ change, ...rest }) => ({
      path: change.path,
      change: changeWords(change),
      ...rest,
    }));
    const paths = changes.map(({ path }) => path);
    const event = 'runs-later-changed';
    const when = who === '' ? {} : { earlier: true };
    const notLooked = {
      notLookedAt: notLookedAt.slice(0, MAX_NOT_LOOKED_AT),
      notLookedAtCount: notLookedAt.length,
    };
    io.stderr.write(`${renderJson({ v: 1, event, ...when, paths, changes, ...notLooked })}\n`);
    return;
  }
  const aside = asideOf({ home, run });
  const of = (done: Outcome['done']): readonly Outcome[] =>
    outcomes.filter((one) => one.done === done);
  const note = (text: string, some: readonly Outcome[], end = ''): void => {
    if (some.length > 0) io.note(plain(`${who}${text}: ${named(some)}${end}`));
  };
  note(
    'changed during the run, and other programs load them automatically later',
    of('undecided'),
    '. Review them: the next `hoop run` here asks on a terminal; --keep-changes and --restore-changes decide without one',
  );
  note('kept', of('kept'));
  const restored = of('restored');
  note(
    'restored',
    restored.filter(({ change }) => !isNew(change)),
  );
  note(
    'removed',
    restored.filter(({ change }) => isNew(change)),
  );
  const moved = restored.filter(
    (one) => one.done === 'restored' && one.aside !== undefined && isBelow(one.aside, aside),
  );
  if (moved.length > 0) {
    const versions = moved.length === 1 ? 'version is' : 'versions are';
    io.note(plain(`the run’s ${versions} in ${aside}`));
  }
  for (const one of outcomes) {
    if (one.done === 'restored' && one.aside !== undefined && !isBelow(one.aside, aside)) {
      io.note(plain(`the run’s ${one.change.path} is now in ${one.aside}`));
    } else if (one.done === 'not restored') {
      io.note(plain(`${one.change.path} was not restored: ${one.why}. Check it yourself`));
    }
  }
  if (notLookedAt.length > 0 && !isSeen) {
    io.note(
      plain(
        `${who}${notLookedWords(notLookedAt)}. Check there yourself: each \`hoop run\` here repeats this until you pass --keep-changes`,
      ),
    );
  }
}

function notLookedWords(notLookedAt: readonly string[]): string {
  const count = notLookedAt.length === 1 ? 'one place' : `${notLookedAt.length} places`;
  return `not checked for files that run later: ${count}, first ${notLookedAt[0] ?? ''}`;
}

/** Below it files have the paths that they had. */
function asideOf({ home, run }: Pick<ReviewOptions, 'home' | 'run'>): string {
  return join(home.state, 'aside', run);
}

function named(outcomes: readonly Outcome[]): string {
  const paths = outcomes.slice(0, MAX_NAMED).map(({ change }) => change.path);
  const more = outcomes.length - paths.length;
  return `${paths.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
