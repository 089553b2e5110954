/**
 * Changes that a person has still to look at: `<state>/changes/<run>.json`, hidden inside of fences.
 * While a run goes on its file holds what stood there before, so that a killed hoop loses nothing;
 * afterwards, when nobody could be asked, what was changed. The next run in the directory asks.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { holdLock, isHeld } from '../../held-lock.ts';
import { type Home, isMissing, writeFileAtomic } from '../../home.ts';
import { isBelow } from '../fence/is-below.ts';
import { hasStrangeName, isSame, statOf, withoutContent } from './file-state.ts';
import { type AfterRun, afterRun, BeforeRun, beforeRun, Change } from './later-changes.ts';
import { stateAt, type Watch } from './watched-files.ts';

const Owed = z.object({
  v: z.literal(1),
  /** Working directory of the run. */
  root: z.string(),
  /** Of a run that goes on, as long as its lock is held, or whose hoop was killed. */
  before: BeforeRun.optional(),
  changes: z.array(Change).optional(),
  /** Places that nobody has looked at, for whoever shall. */
  notLookedAt: z.array(z.string()).optional(),
});
type Owed = z.infer<typeof Owed>;

type State = Pick<Home, 'state'>;

const DIRECTORY = 'changes';
/** A run can make any number of places; whoever looks at these sees what the others are. */
const MAX_NOT_LOOKED_AT = 1000;

/** What one run owes. */
export class RunChanges {
  readonly #home: State;
  readonly #file: string;
  readonly #root: string;
  readonly #before: BeforeRun;
  readonly #lock: Disposable;

  /** Before anything runs inside. @param root its working directory */
  static begin(home: State, run: string, root: string, watch: Watch): RunChanges {
    return new RunChanges(home, join(home.state, DIRECTORY, `${run}.json`), root, watch);
  }

  private constructor(home: State, file: string, root: string, watch: Watch) {
    this.#home = home;
    this.#file = file;
    this.#root = root;
    this.#before = beforeRun(watch);
    this.#lock = holdLock(lockOf(file));
    write(file, { v: 1, root, before: this.#before });
  }

  /** When nothing of the run is left that could write. */
  after(): AfterRun {
    return afterRun(this.#before);
  }

  /** What is open is asked about by the next run here, with what earlier ones have left so. */
  settle(open: AfterRun): void {
    if (isNothing(open)) {
      rmSync(this.#file, { force: true });
    } else {
      const earlier = EarlierChanges.of(this.#home, (root) => root === this.#root);
      // Nobody is between the two: whoever finds the file finds what stands in it.
      write(this.#file, {
        v: 1,
        root: this.#root,
        changes: merged([...earlier.changes, ...open.changes]),
        notLookedAt: [...new Set([...earlier.notLookedAt, ...open.notLookedAt])],
      });
      earlier.forget();
    }
    this.#lock[Symbol.dispose]();
    rmSync(lockOf(this.#file), { force: true });
  }
}

/** What earlier runs in a directory have left to decide, as it stands now. */
export class EarlierChanges {
  readonly changes: readonly Change[];
  /** Places that were not looked at, or not all of them, and are there. */
  readonly notLookedAt: readonly string[];
  readonly wasKilled: boolean;
  readonly #files: readonly string[];
  readonly #root: string | undefined;

  /** Runs in the directory, above it and below it. */
  static in(home: State, cwd: string): EarlierChanges {
    return EarlierChanges.of(home, (root) => isBelow(cwd, root) || isBelow(root, cwd));
  }

  static of(home: State, isMeant: (root: string) => boolean): EarlierChanges {
    const found = read(home).filter(
      ({ file, owed }) => isMeant(owed.root) && !(owed.before && isHeld(lockOf(file))),
    );
    return new EarlierChanges(found);
  }

  private constructor(found: readonly { readonly file: string; readonly owed: Owed }[]) {
    this.#files = found.map(({ file }) => file);
    this.#root = found.map(({ owed }) => owed.root).sort((a, b) => a.length - b.length)[0];
    this.wasKilled = found.some(({ owed }) => owed.before !== undefined);
    const looked = found.map(({ owed }) => lookAgain(owed));
    const all = looked.flatMap(({ changes }) => changes);
    const notLookedAt = new Set(looked.flatMap((one) => one.notLookedAt));
    this.notLookedAt = [...notLookedAt].filter((path) => hasStrangeName(path) || statOf(path));
    this.changes = merged(all).filter(({ before, after }) =>
      before === undefined ? after.kind !== 'absent' : !isSame(before, after),
    );
  }

  /** What is decided is asked no more. @param open what is not */
  settle(open: AfterRun): void {
    const [first, ...others] = this.#files;
    if (first === undefined || this.#root === undefined) return;
    if (isNothing(open)) {
      this.forget();
    } else {
      const { changes, notLookedAt } = open;
      write(first, {
        v: 1,
        root: this.#root,
        changes: [...changes],
        notLookedAt: [...notLookedAt],
      });
      rmSync(lockOf(first), { force: true });
      for (const one of others) forget(one);
    }
  }

  forget(): void {
    for (const file of this.#files) forget(file);
  }
}

function forget(file: string): void {
  rmSync(file, { force: true });
  rmSync(lockOf(file), { force: true });
}

function lockOf(file: string): string {
  return file.replace(/\.json$/, '.lock');
}

function isNothing({ changes, notLookedAt }: AfterRun): boolean {
  return changes.length === 0 && notLookedAt.length === 0;
}

/** At all of a run that was killed, otherwise at what it has left to decide. */
function lookAgain({ before, changes = [], notLookedAt = [] }: Owed): AfterRun {
  if (before !== undefined) return afterRun(before);
  const now = (change: Change): Change => ({
    ...change,
    after: stateAt(change.place, change.path),
  });
  return { changes: changes.map(now), notLookedAt };
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
  const notLookedAt = owed.notLookedAt?.slice(0, MAX_NOT_LOOKED_AT);
  const text = JSON.stringify({
    ...owed,
    ...(changes === undefined ? {} : { changes }),
    ...(notLookedAt === undefined ? {} : { notLookedAt }),
  });
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
