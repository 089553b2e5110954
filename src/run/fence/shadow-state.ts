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
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { HoopError } from '../../errors.ts';
import { isMissing, writeFileAtomic } from '../../home.ts';
import type { StateDirectory, StateFile } from '../agents/agent-profile.ts';
import type { Appearance } from './layers.ts';

/** Databases of sessions grow beyond it: they begin anew then, inside. */
const MAX_COPIED_BYTES = 64 * 1024 * 1024;
/** Of a file that is taken over. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024;

/** A place as it looks inside. */
export interface ShadowedPlace {
  /** Without links. */
  readonly path: string;
  /** What is shown there. */
  readonly source: string;
  /** In it, those that are the real ones. */
  readonly real: readonly { readonly path: string; readonly as: Appearance }[];
}

interface KeptFile {
  readonly real: string;
  readonly copy: string;
  /** Undefined: all of it. */
  readonly members: readonly string[] | undefined;
  /** As it was outside when the run began. */
  readonly before: string | undefined;
}

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

  /**
   * After the last process inside has ended.
   * @returns files that were not taken over, with the reason
   */
  finish(): readonly string[] {
    return this.#kept.flatMap((file) => {
      const problem = takeOver(file);
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
  for (const [name, settings] of Object.entries(entry.settings)) {
    addSettings(join(source, name), fill(settings));
  }
  return { path, source, real };
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
  return { path, source, real: [] };
}

function makeDirectory(path: string): string {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return realpathSync(path);
  } catch (cause) {
    throw new HoopError('HOOP_FENCE', `the directory of the agent, "${path}", cannot be made`, {
      hint: 'Look what is there in its place.',
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

function keptFile(real: string, copy: string, members: readonly string[] | undefined): KeptFile {
  return { real, copy, members, before: contentOf(real) };
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

/** @returns why it stays as it was */
function takeOver({ real, copy, members, before }: KeptFile): string | undefined {
  const written = contentOf(copy);
  if (written === undefined || written === before) {
    return undefined;
  }
  const now = contentOf(real);
  if (members === undefined) {
    if (now !== before) {
      return 'it was changed outside meanwhile, and stays so';
    }
    return replace(real, written);
  }
  const inside = parseObject(written);
  const outside = parseObject(now ?? '{}');
  if (inside === undefined || outside === undefined) {
    return 'it is no JSON object';
  }
  const changed = members.filter(
    (name) => name in inside && JSON.stringify(inside[name]) !== JSON.stringify(outside[name]),
  );
  if (changed.length === 0) {
    return undefined;
  }
  const taken = Object.fromEntries(changed.map((name) => [name, inside[name]]));
  return replace(real, `${JSON.stringify({ ...outside, ...taken }, undefined, 2)}\n`);
}

function replace(real: string, text: string): string | undefined {
  try {
    writeFileAtomic(real, text);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
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

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
