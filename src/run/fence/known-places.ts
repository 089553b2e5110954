/**
 * What fenced commands could write so far, kept where none of them can. A later run must not let
 * files of such a place decide what it maps: a `.git` file or a link in it may have been planted.
 * So what they led to is written down before the first command starts there, and stays as it was.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HoopError } from '../../errors.ts';
import { type Home, isMissing, writeFileAtomic } from '../../home.ts';

export interface KnownPlace {
  /** Absolute, without links: fenced commands could write here and below. */
  readonly path: string;
  /** Its git repository, where that is somewhere else. */
  readonly git?: string;
}

/** A path as it was named, which leads over links to another. */
export interface KnownLink {
  readonly from: string;
  readonly to: string;
}

export interface Known {
  readonly places: readonly KnownPlace[];
  readonly links: readonly KnownLink[];
}

const DIRECTORY = 'fenced';

/** From all of `homes`. @throws HoopError HOOP_LOCAL_STATE */
export function readKnown(homes: readonly Pick<Home, 'state'>[]): Known {
  const entries = [...new Set(homes.map(({ state }) => join(state, DIRECTORY)))].flatMap(entriesIn);
  return {
    places: entries.filter((entry) => 'path' in entry),
    links: entries.filter((entry) => 'from' in entry),
  };
}

/** Adds what is new; what is known stays as it is. One file for each, so that runs need no lock. */
export function recordKnown(home: Pick<Home, 'state'>, known: Known, found: Known): void {
  const places = found.places.filter(({ path }) => known.places.every((one) => one.path !== path));
  const links = found.links.filter(({ from }) => known.links.every((one) => one.from !== from));
  const directory = join(home.state, DIRECTORY);
  for (const entry of [...places, ...links]) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const key = 'path' in entry ? `place\0${entry.path}` : `link\0${entry.from}`;
    const name = createHash('sha256').update(key).digest('hex').slice(0, 32);
    writeFileAtomic(join(directory, `${name}.json`), `${JSON.stringify({ v: 1, ...entry })}\n`);
  }
}

function entriesIn(directory: string): (KnownPlace | KnownLink)[] {
  let names: readonly string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    if (isMissing(error)) {
      return [];
    }
    throw error;
  }
  return names
    .filter((name) => name.endsWith('.json'))
    .map((name) => parseEntry(join(directory, name)));
}

/** What is damaged is not taken for a place that nobody could write. */
function parseEntry(path: string): KnownPlace | KnownLink {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    value = undefined;
  }
  if (typeof value === 'object' && value !== null) {
    if ('path' in value && typeof value.path === 'string') {
      const git = 'git' in value && typeof value.git === 'string' ? { git: value.git } : {};
      return { path: value.path, ...git };
    }
    if (
      'from' in value &&
      typeof value.from === 'string' &&
      'to' in value &&
      typeof value.to === 'string'
    ) {
      return { from: value.from, to: value.to };
    }
  }
  throw new HoopError('HOOP_LOCAL_STATE', `"${path}" is damaged`, {
    detail: 'hoop records there what fenced commands could write.',
    hint: 'Remove the file if you know why it is damaged.',
  });
}
