/**
 * Settings of git as git reads them (config.c, https://git-scm.com/docs/git-config#_syntax): those of
 * files with what they include, and those of the environment. git itself is not asked: a run can make
 * repositories by the thousand, and each would be a process.
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, resolve } from 'node:path';
import * as z from 'zod';
import { localUser } from '../../local-user.ts';
import { realOf, statOf } from './file-state.ts';

/** Longer ones nobody writes. */
const MAX_FILE_BYTES = 1024 * 1024;
/** Of one look: read, in bytes, and words of settings that are asked for as files. */
const MAX_BYTES = 8 * 1024 * 1024;
const MAX_WORDS = 20_000;
/** Files of settings that include one another. */
const MAX_INCLUDED = 100;
/** Where git is installed nearly everywhere. */
const PREFIX = '/usr';

export const GitValue = z.object({
  /** The last part of its name, in lower case. */
  key: z.string(),
  value: z.string(),
});
export type GitValue = z.infer<typeof GitValue>;

/** A setting, and the file in which it stands. */
export interface Setting extends GitValue {
  readonly from: string;
}

/** What may still be done for settings, one for all that are looked at together. */
export interface Effort {
  bytes: number;
  words: number;
  /** Files that were not read, or not to their end. */
  readonly leftOut: Set<string>;
}

export function newEffort(): Effort {
  return { bytes: MAX_BYTES, words: MAX_WORDS, leftOut: new Set() };
}

/**
 * Of a file of settings, and of those that it includes, whatever the condition; each once, since a
 * run can write settings that include themselves thousands of times.
 */
export function settingsFrom(
  config: string,
  effort: Effort,
  seen = new Set<string>(),
): readonly Setting[] {
  if (seen.has(config)) return [];
  if (seen.size >= MAX_INCLUDED) {
    effort.leftOut.add(config);
    return [];
  }
  seen.add(config);
  return settingsIn(config, shortText(config, effort) ?? '').flatMap((one) =>
    one.key === 'path' ? [one, ...settingsFrom(includedPath(one), effort, seen)] : [one],
  );
}

/** `GIT_CONFIG_COUNT` with its keys and values, and what `git -c` hands to its children. */
export function settingsOfEnvironment(env: NodeJS.ProcessEnv): readonly GitValue[] {
  const numbers = Object.keys(env).flatMap(
    (name) => /^GIT_CONFIG_KEY_(\d+)$/.exec(name)?.[1] ?? [],
  );
  const quoted = env['GIT_CONFIG_PARAMETERS'] ?? '';
  // `'core.hooksPath'='x'`, before git 2.31 `'core.hooksPath=x'`.
  const given = [...quoted.matchAll(/'([^'=]+)'?='?((?:[^']|'\\'')*)'/g)];
  return [
    ...numbers.map((number) => [
      env[`GIT_CONFIG_KEY_${number}`] ?? '',
      env[`GIT_CONFIG_VALUE_${number}`] ?? '',
    ]),
    ...given.map(([, key = '', value = '']) => [key, value.replaceAll("'\\''", "'")]),
  ].map(([name = '', value = '']) => ({
    key: name.slice(name.lastIndexOf('.') + 1).toLowerCase(),
    value,
  }));
}

/** That `include.path` names. */
export function includedPath({ value, from }: Setting): string {
  return resolve(dirname(from), inFull(value));
}

/** As git takes a path: `~`, `~ann` for whoever runs this, the place of git, `:(optional)`. */
export function inFull(value: string): string {
  return value
    .replace(/^:\(optional\)/, '')
    .replace(/^%\(prefix\)(?=\/)/, PREFIX)
    .replace(/^~([^/]*)(?=\/|$)/, (whole, name: string) =>
      name === '' || name === localUser().username ? homedir() : whole,
    );
}

export function shortText(path: string, effort: Effort): string | undefined {
  const stat = statOf(realOf(path) ?? path);
  if (stat?.isFile() !== true) return undefined;
  if (stat.size > Math.min(MAX_FILE_BYTES, effort.bytes)) {
    effort.leftOut.add(path);
    return undefined;
  }
  effort.bytes -= stat.size;
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** What git would refuse as a whole is read as far as it goes: another version may take it. */
function settingsIn(from: string, text: string): readonly Setting[] {
  const found: Setting[] = [];
  const reader = new Reader(text);
  while (!reader.isOver) {
    const key = reader.key();
    if (key !== undefined) found.push({ key: key.toLowerCase(), value: reader.value(), from });
  }
  return found;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', b: '\b' };

/** Goes through a file once, each character. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    // Of lines that end as on Windows, git takes the end off.
    this.#text = text.replace(/^\ufeff/, '').replaceAll('\r\n', '\n');
  }

  get isOver(): boolean {
    return this.#at >= this.#text.length;
  }

  /** The next one of the line, or undefined behind one that has none. */
  key(): string | undefined {
    this.#run(/\s+/y);
    const key = this.#run(/[A-Za-z][A-Za-z0-9-]*/y);
    if (key !== '') return key;
    if (this.#text[this.#at] === '[') this.#section();
    else this.#line();
    return undefined;
  }

  /** '' of one that only says that it is on. */
  value(): string {
    this.#run(/[^\S\n]+/y);
    if (this.#text[this.#at] !== '=') {
      this.#line();
      return '';
    }
    this.#at += 1;
    this.#run(/[^\S\n]+/y);
    let value = '';
    let isQuoted = false;
    /** Without the blanks at the end. */
    let length = 0;
    while (!this.isOver) {
      const plain = this.#run(isQuoted ? /[^\n"\\]+/y : /[^\n"\\#;]+/y);
      const end = (isQuoted ? plain : plain.trimEnd()).length;
      if (end > 0) length = value.length + end;
      value += plain;
      const special = this.#text[this.#at];
      if (special === '"') {
        isQuoted = !isQuoted;
        length = value.length;
      } else if (special === '\\') {
        this.#at += 1;
        const next = this.#text[this.#at] ?? '';
        // A line that goes on in the next one.
        if (next !== '\n') {
          value += ESCAPES[next] ?? next;
          length = value.length;
        }
      } else {
        break;
      }
      this.#at += 1;
    }
    this.#line();
    return value.slice(0, length);
  }

  /** `[name "with ] and \" in it"]`; a setting may follow in the line. */
  #section(): void {
    let isQuoted = false;
    for (; !this.isOver; this.#at += 1) {
      const one = this.#text[this.#at];
      if (one === '\n') return;
      if (one === '\\' && isQuoted) this.#at += 1;
      if (one === '"') isQuoted = !isQuoted;
      if (one === ']' && !isQuoted) {
        this.#at += 1;
        return;
      }
    }
  }

  /** @param pattern sticky */
  #run(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? '';
    this.#at += found.length;
    return found;
  }

  #line(): void {
    const end = this.#text.indexOf('\n', this.#at);
    this.#at = end === -1 ? this.#text.length : end;
  }
}
