/**
 * The state of an agent inside of a fence: a copy that ends with the run, in which the parts that a
 * profile names are the real ones. What an agent runs by itself later (hooks, plugins, MCP servers,
 * programs that it keeps) can be written inside as the agent likes, and nobody outside reads it.
 *
 *   open    makes what is not there, copies files, says how the places look inside
 *   finish  takes over what is kept of files, by name and by member, and nothing else
 */
import {
  closeSync,
  constants,
  copyFileSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { HoopError } from '../../errors.ts';
import { isMissing, writeFileAtomic } from '../../home.ts';
import type { StateDirectory, StateFile } from '../agents/agent-profile.ts';
import { isBelow } from './is-below.ts';
import type { Appearance } from './layers.ts';

/** Databases of sessions grow beyond it: they begin anew then, inside. */
const MAX_COPIED_BYTES = 64 * 1024 * 1024;
/** Of a file that is taken over. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024;
/** Of the members of one: an account and its tokens are some kilobytes. */
const MAX_MEMBERS_CHARACTERS = 256 * 1024;

/** A place as it looks inside. */
export interface ShadowedPlace {
  /** Without links. */
  readonly path: string;
  /** What is shown there. */
  readonly source: string;
  /** In it, those that are the real ones. */
  readonly real: readonly { readonly path: string; readonly as: Appearance }[];
  /** What an agent takes for instructions, in those; `*` is any name. */
  readonly instructions: readonly string[];
}

/** Of an agent's state, what the command writes in itself. */
export interface Kept {
  readonly directories: readonly string[];
  readonly instructions: readonly string[];
}

interface KeptFile {
  readonly real: string;
  readonly copy: string;
  /** Undefined: all of it. */
  readonly members: readonly string[] | undefined;
  /** As it was outside when the run began. */
  readonly before: string | undefined;
}

type Members = Readonly<Record<string, unknown>>;

export interface ShadowStateOptions {
  readonly state: readonly (StateDirectory | StateFile)[];
  readonly env: NodeJS.ProcessEnv;
  readonly home: string;
  /** Private, of the run; gone with it. */
  readonly directory: string;
  /** With the placeholders filled in. */
  readonly settings: (value: unknown) => unknown;
  /** Places that the person has opened, or looks after otherwise. */
  readonly except: readonly string[];
}

export class ShadowState {
  readonly places: readonly ShadowedPlace[];
  readonly #kept: readonly KeptFile[];

  /** @throws HoopError HOOP_FENCE */
  static open(options: ShadowStateOptions): ShadowState {
    const { state, env, home, directory, except } = options;
    const kept: KeptFile[] = [];
    const places = state.flatMap((entry, index) => {
      const source = join(directory, 'agent-state', String(index));
      const path = 'file' in entry ? inHome(entry.file, home) : placeOf(entry, env, home);
      requireOwn(path, home);
      if (except.some((one) => one === path || one.startsWith(`${path}/`))) {
        return [];
      }
      return 'file' in entry
        ? [shadowFile(entry, path, source, kept)]
        : [shadowDirectory(entry, path, source, kept, options.settings)];
    });
    return new ShadowState(places, kept);
  }

  private constructor(places: readonly ShadowedPlace[], kept: readonly KeptFile[]) {
    this.places = places;
    this.#kept = kept;
  }

  /** Looked at after the run: see RunsLater. */
  get kept(): Kept {
    return {
      directories: this.places.flatMap(({ real }) =>
        real.filter(({ as }) => as === 'writable').map(({ path }) => path),
      ),
      instructions: this.places.flatMap(({ instructions }) => instructions),
    };
  }

  /**
   * After the last process inside has ended.
   * @returns files that were not taken over, with the reason
   */
  finish(): readonly string[] {
    return this.#kept.flatMap((file) => {
      const problem = takenOver(file);
      return problem === undefined ? [] : [`${file.real}: ${problem}`];
    });
  }
}

function placeOf({ path, movedBy }: StateDirectory, env: NodeJS.ProcessEnv, home: string): string {
  const moved = movedBy === undefined ? undefined : env[movedBy];
  return moved?.startsWith('/') ? moved : inHome(path, home);
}

function inHome(path: string, home: string): string {
  return join(home, path.slice('~/'.length));
}

/** Of a directory that holds all of home a copy would be one of keys and start files, to write in. */
function requireOwn(path: string, home: string): void {
  if (isBelow(linkless(home), linkless(path))) {
    throw new HoopError(
      'HOOP_FENCE',
      `the agent’s directory "${path}" contains your home directory`,
      {
        hint: 'Check the variable or the profile that names it, or start without a profile: --no-profile.',
      },
    );
  }
}

function shadowDirectory(
  entry: StateDirectory,
  named: string,
  source: string,
  kept: KeptFile[],
  fill: (value: unknown) => unknown,
): ShadowedPlace {
  const path = makeDirectory(named);
  mkdirSync(source, { recursive: true, mode: 0o700 });
  const real: { path: string; as: Appearance }[] = [];
  const isKept = (name: string): boolean => entry.keep.includes(name);
  for (const item of readdirSync(path, { withFileTypes: true })) {
    const { name } = item;
    const [from, copy] = [join(path, name), join(source, name)];
    if (entry.hide.some((hidden) => hidden === name || hidden === `${name}/`)) {
      continue;
    }
    if (item.isSymbolicLink()) {
      symlinkSync(readlinkSync(from), copy);
    } else if (item.isDirectory()) {
      mkdirSync(copy, { mode: 0o700 });
      real.push({ path: from, as: isKept(`${name}/`) ? 'writable' : 'readable' });
    } else if (item.isFile()) {
      copyFile(from, copy);
    }
  }
  for (const name of entry.keep) {
    const copy = join(source, name);
    if (!name.endsWith('/')) {
      kept.push(keptFile(join(path, name), copy, undefined));
    } else if (lstatSync(copy, { throwIfNoEntry: false }) === undefined) {
      const made = join(path, name.slice(0, -1));
      mkdirSync(made, { mode: 0o700 });
      mkdirSync(copy, { mode: 0o700 });
      real.push({ path: made, as: 'writable' });
    }
  }
  for (const [name, members] of Object.entries(entry.keepMembers)) {
    kept.push(keptFile(join(path, name), join(source, name), members));
  }
  for (const [name, members] of Object.entries(entry.showMembers)) {
    showMembers(join(source, name), members);
  }
  for (const [name, settings] of Object.entries(entry.settings)) {
    addSettings(join(source, name), fill(settings));
  }
  const instructions = entry.instructions.map((pattern) => join(path, pattern));
  return { path, source, real, instructions };
}

function shadowFile(
  { keepMembers }: StateFile,
  named: string,
  source: string,
  kept: KeptFile[],
): ShadowedPlace {
  const path = realOf(named);
  mkdirSync(dirname(source), { recursive: true, mode: 0o700 });
  // A mount needs something to stand on; an agent takes it for a file that it has not written yet.
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) {
    makeDirectory(dirname(path));
    writeFileSync(path, '{}\n', { mode: 0o600, flag: 'wx' });
  }
  copyFile(path, source);
  kept.push(keptFile(path, source, keepMembers));
  return { path, source, real: [], instructions: [] };
}

function makeDirectory(path: string): string {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return realpathSync(path);
  } catch (cause) {
    throw new HoopError('HOOP_FENCE', `the agent’s directory "${path}" cannot be created`, {
      hint: 'Check what is there instead.',
      cause,
    });
  }
}

/** Of a file that may not be there. */
function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (!isMissing(error)) {
      throw error;
    }
    return join(makeDirectory(dirname(path)), basename(path));
  }
}

function copyFile(from: string, to: string): void {
  if (lstatSync(from).size <= MAX_COPIED_BYTES) {
    copyFileSync(from, to, constants.COPYFILE_FICLONE);
  }
}

/** Where the links end; itself when it is not there. */
function linkless(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function keptFile(real: string, copy: string, members: readonly string[] | undefined): KeptFile {
  const end = linkless(real);
  return { real: end, copy, members, before: contentOf(end) };
}

/** Members of objects are joined, lists are appended: what the person has set goes on to work. */
function addSettings(path: string, settings: unknown): void {
  const before = parseObject(contentOf(path) ?? '{}');
  if (before !== undefined) {
    writeFileSync(path, `${JSON.stringify(joined(before, settings), undefined, 2)}\n`, {
      mode: 0o600,
    });
  }
}

function joined(one: unknown, other: unknown): unknown {
  if (Array.isArray(one) && Array.isArray(other)) {
    return [...one, ...other];
  }
  if (!isObject(one) || !isObject(other)) {
    return other;
  }
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return Object.fromEntries(
    [...names].map((name) => [
      name,
      name in one && name in other ? joined(one[name], other[name]) : (other[name] ?? one[name]),
    ]),
  );
}

/** What one file does is no reason to lose the others, and the login that was renewed in them. */
function takenOver(file: KeptFile): string | undefined {
  try {
    return takeOver(file);
  } catch (error) {
    // Nested so deeply that it cannot be written, for one.
    return error instanceof Error ? error.message : String(error);
  }
}

/** @returns why it stays as it was */
function takeOver({ real, copy, members, before }: KeptFile): string | undefined {
  const written = contentOf(copy);
  if (written === undefined) {
    return isTooLarge(copy) ? 'it is too large' : undefined;
  }
  if (written === before) {
    return undefined;
  }
  if (linkless(dirname(real)) !== dirname(real)) {
    return 'its directory has been replaced';
  }
  if (isTooLarge(real)) {
    return 'it is too large outside and stays as it is';
  }
  const now = contentOf(real);
  if (members === undefined) {
    if (now !== before) {
      return 'it was changed outside meanwhile, and that version stays';
    }
    writeFileAtomic(real, written);
    return undefined;
  }
  const inside = parseObject(written);
  const outside = parseObject(now ?? '{}');
  if (inside === undefined || outside === undefined) {
    return 'it is not a JSON object';
  }
  const paths = members.map((path) => path.split('.'));
  const taken = takeMembers(outside, inside, parseObject(before ?? '{}') ?? {}, paths);
  const [text, old] = [taken, outside].map((value) => JSON.stringify(value, undefined, 2));
  if (text === undefined || old === undefined || text === old) {
    return undefined;
  }
  if (text.length > old.length + MAX_MEMBERS_CHARACTERS) {
    return 'the kept part is too large';
  }
  writeFileAtomic(real, `${text}\n`);
  return undefined;
}

/**
 * What was written inside and nowhere else. A path of several members, or `*`, leads into what is
 * there outside already: it renews a value and makes no entry.
 */
function takeMembers(
  outside: Members,
  inside: Members,
  before: Members,
  paths: readonly (readonly string[])[],
): Members {
  const taken = new Map(Object.entries(outside));
  const named = paths.flatMap(([name = '']) => (name === '*' ? Object.keys(outside) : [name]));
  for (const name of new Set(named)) {
    const rest = paths.flatMap(([first, ...more]) =>
      first === '*' || first === name ? [more] : [],
    );
    const [was, is, then] = [outside, inside, before].map((one) =>
      Object.hasOwn(one, name) ? one[name] : undefined,
    );
    if (is === undefined) {
      continue;
    }
    if (!rest.some((more) => more.length === 0)) {
      if (isObject(was) && isObject(is)) {
        taken.set(name, takeMembers(was, is, isObject(then) ? then : {}, rest));
      }
    } else if (!isSame(is, then) && isSame(was, then)) {
      taken.set(name, is);
    }
  }
  return Object.fromEntries(taken);
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Of the copy: the rest is not there inside. */
function showMembers(copy: string, members: readonly string[]): void {
  if (lstatSync(copy, { throwIfNoEntry: false }) === undefined) {
    return;
  }
  const all = parseObject(contentOf(linkless(copy)) ?? '') ?? {};
  const shown = Object.entries(all).filter(([name]) => members.includes(name));
  rmSync(copy);
  writeFileSync(copy, `${JSON.stringify(Object.fromEntries(shown))}\n`, { mode: 0o600 });
}

/** Of a plain file and of nothing else: what was a command's to write may be a link by now, or a pipe. */
function contentOf(path: string): string | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(
      path,
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY,
    );
  } catch {
    // Not there, or a link.
    return undefined;
  }
  try {
    const stat = fstatSync(descriptor);
    return stat.isFile() && stat.size <= MAX_KEPT_BYTES
      ? readFileSync(descriptor, 'utf8')
      : undefined;
  } finally {
    closeSync(descriptor);
  }
}

function isTooLarge(path: string): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat?.isFile() === true && stat.size > MAX_KEPT_BYTES;
}

function parseObject(text: string): Members | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
