/**
 * Where a path leads on the target, found as its kernel finds it: component by component, links
 * followed. We do it with LSTAT and READLINK instead of REALPATH, because what REALPATH does is the
 * server's affair (OpenSSH follows links, others only tidy up the text), and because all components
 * of a path without links, the everyday case, are looked at in one round trip.
 *
 * Paths here are strings of bytes, one character each (latin1), so that what is sent to the target is
 * what was resolved, whatever its encoding.
 */
import type { Attributes } from '../../protocol/sftp/attributes.ts';
import { FILE_TYPE, STATUS } from '../../protocol/sftp/packet-types.ts';

/** SYMLOOP_MAX of Linux. */
const MAX_LINKS = 40;
/** PATH_MAX of Linux. */
const MAX_PATH_BYTES = 4096;
/** Each is a question to the target. */
const MAX_COMPONENTS = 128;

export interface Failure {
  /** SSH_FX_… */
  readonly code: number;
  readonly message: string;
}

export interface PathQuestions {
  /** Asks all at once; answers in the same order. */
  lstat(paths: readonly string[]): Promise<readonly (Attributes | Failure)[]>;
  readlink(path: string): Promise<string | Failure>;
}

export interface Resolution {
  /** Absolute, without `.`, `..`, links (the last component, if it is not followed, may be one). */
  readonly path: string;
  /** The target cannot get there; `path` is then what it would be if nothing more were a link. */
  readonly failure?: Failure;
}

export async function resolvePath(
  asked: string,
  options: {
    /** What relative paths are relative to. */
    readonly base: string;
    /** Whether a link at the end is followed. */
    readonly follow: boolean;
    readonly questions: PathQuestions;
  },
): Promise<Resolution> {
  const { base, follow, questions } = options;
  let known: readonly string[] = [];
  let todo = components(asked.startsWith('/') ? asked : `${base}/${asked}`);
  for (let links = 0; links <= MAX_LINKS; links++) {
    if (tooLong(known, todo)) {
      // It goes nowhere; its beginning says whether the client may know that.
      const beginning = todo.slice(0, MAX_COMPONENTS);
      return { path: lexical(known, beginning), failure: failure('the path is too long') };
    }
    const { end, steps } = walk(known, todo, follow);
    const looked = await questions.lstat(steps.map(({ path }) => path));
    const turn = firstTurn(steps, looked);
    if (turn === undefined) {
      return { path: end };
    }
    const { step, found } = turn;
    if (found !== 'link') {
      return { path: lexical(step.parent, [step.name, ...step.rest]), failure: found };
    }
    const text = await questions.readlink(step.path);
    if (typeof text !== 'string' || text === '') {
      const why = typeof text === 'string' ? failure('a link is empty') : text;
      return { path: lexical(step.parent, [step.name, ...step.rest]), failure: why };
    }
    known = text.startsWith('/') ? [] : step.parent;
    todo = [...components(text), ...step.rest];
  }
  return { path: lexical(known, todo), failure: failure('too many links') };
}

/** @returns whether two lookings at a path saw no link; for the check after it was opened */
export function isLink(attributes: Attributes): boolean {
  return ((attributes.permissions ?? 0) & FILE_TYPE.mask) === FILE_TYPE.link;
}

/** `/a/b` → `/a`, `/a/b`: what has to be looked at, to see that none is a link. */
export function prefixes(path: string): string[] {
  return walk([], components(path), true).steps.map((step) => step.path);
}

interface Step {
  readonly name: string;
  readonly path: string;
  /** Components before it, none of them a link if the steps before this one are not. */
  readonly parent: readonly string[];
  /** What is to come after it. */
  readonly rest: readonly string[];
}

/** A slash at the end means the directory that is there, as `.` does. */
function components(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  return /(^|\/)\.?$/.test(path) ? [...parts, '.'] : parts;
}

/** As if no component was a link. */
function walk(
  known: readonly string[],
  todo: readonly string[],
  follow: boolean,
): { readonly end: string; readonly steps: readonly Step[] } {
  const steps: Step[] = [];
  let stack = known;
  todo.forEach((name, index) => {
    if (name === '..') {
      stack = stack.slice(0, -1);
    } else if (name !== '.') {
      const parent = stack;
      stack = [...parent, name];
      if (follow || index < todo.length - 1) {
        steps.push({ name, path: join(stack), parent, rest: todo.slice(index + 1) });
      }
    }
  });
  return { end: join(stack), steps };
}

/** The first component at which it goes another way than straight on. */
function firstTurn(
  steps: readonly Step[],
  looked: readonly (Attributes | Failure)[],
): { readonly step: Step; readonly found: 'link' | Failure } | undefined {
  for (const [index, step] of steps.entries()) {
    const found = looked[index];
    const isLast = step.rest.every((name) => name === '.');
    if (found === undefined) {
      return { step, found: failure('the target did not answer') };
    }
    if ('code' in found) {
      if (found.code === STATUS.noSuchFile && isLast) {
        return undefined;
      }
      return { step, found };
    }
    if (found.permissions === undefined) {
      // What is not told apart from a link may be one.
      return { step, found: failure('the target does not say what is a link') };
    }
    if (isLink(found)) {
      return { step, found: 'link' };
    }
    if (!isLast && (found.permissions & FILE_TYPE.mask) !== FILE_TYPE.directory) {
      return { step, found: { code: STATUS.noSuchFile, message: 'Not a directory' } };
    }
  }
  return undefined;
}

function lexical(known: readonly string[], todo: readonly string[]): string {
  const stack = [...known];
  for (const name of todo) {
    if (name === '..') stack.pop();
    else if (name !== '.') stack.push(name);
  }
  return join(stack);
}

function join(parts: readonly string[]): string {
  return `/${parts.join('/')}`;
}

function tooLong(known: readonly string[], todo: readonly string[]): boolean {
  const parts = [...known, ...todo];
  return (
    parts.length > MAX_COMPONENTS ||
    parts.reduce((length, part) => length + part.length + 1, 0) > MAX_PATH_BYTES
  );
}

function failure(message: string): Failure {
  return { code: STATUS.failure, message };
}
