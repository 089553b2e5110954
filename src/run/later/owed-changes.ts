/**
 * Changes that a person has still to look at: `<state>/changes/<run>.json`, hidden inside of fences.
 * While a run goes on its file holds what stood there before, so that a killed hoop loses nothing;
 * afterwards, when nobody could be asked, what was changed. The next run in the directory asks.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { type Home, isMissing, writeFileAtomic } from '../../home.ts';
import { isBelow } from '../fence/is-below.ts';
import { isSame, withoutContent } from './file-state.ts';
import { type AfterRun, afterRun, BeforeRun, beforeRun, Change } from './later-changes.ts';
import { stateAt, type Watch } from './watched-files.ts';

const Owed = z.object({
  v: z.literal(1),
  /** Working directory of the run. */
  root: z.string(),
  /** Process of the hoop that will ask (see `markOf`); absent: nobody does. */
  owner: z.string().optional(),
  before: BeforeRun.optional(),
  changes: z.array(Change).optional(),
});
type Owed = z.infer<typeof Owed>;

type State = Pick<Home, 'state'>;

const DIRECTORY = 'changes';

/** What one run owes. */
export class RunChanges {
  readonly #home: State;
  readonly #file: string;
  readonly #root: string;
  readonly #before: BeforeRun;

  /** Before anything runs inside. @param root its working directory */
  static begin(home: State, run: string, root: string, watch: Watch): RunChanges {
    return new RunChanges(home, join(home.state, DIRECTORY, `${run}.json`), root, watch);
  }

  private constructor(home: State, file: string, root: string, watch: Watch) {
    this.#home = home;
    this.#file = file;
    this.#root = root;
    this.#before = beforeRun(watch);
    mkdirSync(join(home.state, DIRECTORY), { recursive: true, mode: 0o700 });
    write(file, { v: 1, root, owner: markOf(process.pid), before: this.#before });
  }

  /** When nothing of the run is left that could write. */
  after(): AfterRun {
    return afterRun(this.#before);
  }

  /** @param undecided is asked about by the next run here, with what earlier ones have left so */
  settle(undecided: readonly Change[]): void {
    if (undecided.length === 0) {
      rmSync(this.#file, { force: true });
      return;
    }
    const earlier = EarlierChanges.of(this.#home, (root) => root === this.#root);
    const all = merged([...earlier.changes, ...undecided]);
    // Nobody is between the two: whoever finds the file finds what stands in it.
    write(this.#file, { v: 1, root: this.#root, changes: all });
    earlier.forget();
  }
}

/** What earlier runs in a directory have left to decide, as it stands now. */
export class EarlierChanges {
  readonly changes: readonly Change[];
  /** Places of killed runs that were not looked at, or not all of them. */
  readonly notLookedAt: readonly string[];
  readonly wasKilled: boolean;
  readonly #files: readonly string[];
  readonly #root: string | undefined;

  /** Runs in the directory, above it and below it. */
  static in(home: State, cwd: string): EarlierChanges {
    return EarlierChanges.of(home, (root) => isBelow(cwd, root) || isBelow(root, cwd));
  }

  static of(home: State, isMeant: (root: string) => boolean): EarlierChanges {
    const found = read(home).filter(({ owed }) => isMeant(owed.root) && !isThere(owed.owner));
    return new EarlierChanges(found);
  }

  private constructor(found: readonly { readonly file: string; readonly owed: Owed }[]) {
    this.#files = found.map(({ file }) => file);
    this.#root = found.map(({ owed }) => owed.root).sort((a, b) => a.length - b.length)[0];
    this.wasKilled = found.some(({ owed }) => owed.before !== undefined);
    const looked = found.map(({ owed }) => lookAgain(owed));
    const all = looked.flatMap(({ changes }) => changes);
    this.notLookedAt = looked.flatMap(({ notLookedAt }) => notLookedAt);
    this.changes = merged(all).filter(({ before, after }) =>
      before === undefined ? after.kind !== 'absent' : !isSame(before, after),
    );
  }

  /** What is decided is asked no more. */
  settle(undecided: readonly Change[]): void {
    const [first, ...others] = this.#files;
    if (first === undefined || this.#root === undefined) return;
    if (undecided.length === 0) {
      this.forget();
    } else {
      write(first, { v: 1, root: this.#root, changes: [...undecided] });
      for (const one of others) rmSync(one, { force: true });
    }
  }

  forget(): void {
    for (const file of this.#files) rmSync(file, { force: true });
  }
}

/** At all of a run that was killed, otherwise at what it has left to decide. */
function lookAgain({ before, changes = [] }: Owed): AfterRun {
  if (before !== undefined) return afterRun(before);
  const now = (change: Change): Change => ({
    ...change,
    after: stateAt(change.place, change.path),
  });
  return { changes: changes.map(now), notLookedAt: [] };
}

/** A process as no other is called, on this machine and after a restart of it. */
function markOf(pid: number): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    // Behind the name, which may hold anything: the state, and 19 fields later when it started.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    const isOver = /^[ZX]/.test(fields[0] ?? 'X');
    return isOver ? undefined : `${pid} ${boot} ${fields[19]}`;
  } catch {
    return undefined;
  }
}

function isThere(owner: string | undefined): boolean {
  return owner !== undefined && markOf(Number(owner.split(' ')[0])) === owner;
}

/** What stood there first, and stands there last. */
function merged(changes: readonly Change[]): Change[] {
  const byPath = new Map<string, Change>();
  for (const change of changes) {
    const first = byPath.get(change.path);
    byPath.set(change.path, first === undefined ? change : { ...change, before: first.before });
  }
  return [...byPath.values()];
}

function write(file: string, owed: Owed): void {
  const changes = owed.changes?.map((change) => ({
    ...change,
    after: withoutContent(change.after),
  }));
  const text = JSON.stringify({ ...owed, ...(changes === undefined ? {} : { changes }) });
  writeFileAtomic(file, `${text}\n`);
}

/** A damaged file is left where it is, and asks for nothing: it was never more than a reminder. */
function read({ state }: State): readonly { readonly file: string; readonly owed: Owed }[] {
  let names: readonly string[];
  try {
    names = readdirSync(join(state, DIRECTORY));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
  return names
    .filter((name) => name.endsWith('.json'))
    .sort()
    .flatMap((name) => {
      const file = join(state, DIRECTORY, name);
      const owed = parse(file);
      return owed === undefined ? [] : [{ file, owed }];
    });
}

function parse(file: string): Owed | undefined {
  try {
    return Owed.safeParse(JSON.parse(readFileSync(file, 'utf8'))).data;
  } catch {
    return undefined;
  }
}
