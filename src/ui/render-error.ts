/**
 * The one place that turns errors into terminal text, JSON and exit statuses.
 *
 * Whatever an error carries may come from the network, so it is shown as plain text. A HoopError
 * is a message for the user. Anything else that gets here is a bug in hoop and is shown as one.
 */
import { type ErrorCode, HoopError } from '../errors.ts';
import { renderJson } from './render-json.ts';
import { plain, plainLines } from './text/printable.ts';
import { styleFor } from './text/style.ts';
import { wrapWords } from './text/wrap-words.ts';

export interface RenderErrorOptions {
  /** One JSON document instead of `hoop: …` lines. */
  readonly json: boolean;
  /** Whether stderr takes escape codes. */
  readonly color: boolean;
  /** Columns of the terminal; undefined: no line is broken. */
  readonly width?: number | undefined;
}

export type ExitCode = 1 | 2 | 3 | 4 | 5 | 130;

/** Codes whose exit status is not 1. */
const EXIT_CODES: { readonly [code in ErrorCode]?: ExitCode } = {
  HOOP_USAGE: 2,
  HOOP_NOT_A_RECORDING: 2,
  HOOP_VERIFY_UNTRUSTED: 2,
  HOOP_VERIFY_INCOMPLETE: 2,
  HOOP_NOT_LOGGED_IN: 3,
  HOOP_WORKLOAD_TOKEN: 3,
  HOOP_TOKEN_EXPIRED: 3,
  HOOP_TOKEN_TOO_OLD: 3,
  HOOP_TOKEN_REVOKED: 3,
  HOOP_ACCESS_DENIED: 4,
  HOOP_ACCESS_BLOCKED: 4,
  HOOP_WORKLOAD_CLAIM: 4,
  HOOP_WORKLOAD_EVENT: 4,
  HOOP_RUN_REFUSED: 4,
  HOOP_DENIED: 4,
  HOOP_NOT_ALLOWED: 4,
  HOOP_UNPARSED: 4,
  HOOP_UNTRACEABLE: 4,
  HOOP_MASKED_WRITE: 4,
  HOOP_SETTING: 4,
  HOOP_ENCODING: 4,
  HOOP_MESSAGE_REFUSED: 4,
  HOOP_APPROVAL_UNAVAILABLE: 4,
  HOOP_APPROVAL_PENDING: 4,
  HOOP_APPROVAL_DENIED: 4,
  HOOP_APPROVAL_EXPIRED: 4,
  HOOP_APPROVAL_VOID: 4,
  HOOP_APPROVAL_SELF: 4,
  HOOP_SESSION_REVOKED: 4,
  HOOP_UNREACHABLE: 5,
  HOOP_PROXY: 5,
  HOOP_GATEWAY_TLS: 5,
  HOOP_IDP_UNREACHABLE: 5,
  HOOP_TARGET_UNREACHABLE: 5,
  HOOP_INTERRUPTED: 130,
};

/** What is thrown may be anything; what is shown has these parts. */
interface Shown {
  readonly code: ErrorCode;
  readonly message: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
}

/** The exit status of a command that ended with this error; pass-through commands have their own. */
export function exitCodeFor(error: unknown): ExitCode {
  return EXIT_CODES[toShown(error).code] ?? 1;
}

/** @returns text for stderr that ends with a line feed. */
export function renderError(error: unknown, options: RenderErrorOptions): string {
  const shown = toShown(error);
  if (options.json) {
    const { code, message, detail, hint } = shown;
    return `${renderJson({ v: 1, error: { code, message, detail, hint } })}\n`;
  }
  const style = styleFor(options.color);
  const lines: string[] = [];
  const add = (word: string, paint: (text: string) => string, text: string): void => {
    const [first = '', ...rest] = wrapWords(text, options.width, {
      first: `hoop: ${word} `,
      rest: 'hoop:   ',
    });
    lines.push(first.replace(word, paint(word)), ...rest);
  };
  add('error:', (text) => style.bold(style.red(text)), plain(shown.message));
  for (const line of splitLines(shown.detail)) {
    add('detail:', style.bold, line);
  }
  for (const line of splitLines(shown.hint)) {
    add('hint:', (text) => style.bold(style.cyan(text)), line);
  }
  return `${lines.join('\n')}\n`;
}

function splitLines(text: string | undefined): string[] {
  return text ? plainLines(text).trimEnd().split('\n') : [];
}

function toShown(error: unknown): Shown {
  if (error instanceof HoopError) {
    const { code, message, detail, hint } = error;
    return { code, message, detail, hint };
  }
  return systemError(error) ?? bug(error);
}

/** Errors of the operating system that no layer put into words: a full disk, a missing file. */
function systemError(error: unknown): Shown | undefined {
  if (!(error instanceof Error) || !('syscall' in error) || !('code' in error)) {
    return undefined;
  }
  return {
    code: 'HOOP_SYSTEM',
    message: withoutSecrets(error.message),
    detail: `The operating system refused "${String(error.syscall)}" with ${String(error.code)}.`,
    hint:
      SYSTEM_HINTS[`${String(error.syscall)} ${String(error.code)}`] ??
      SYSTEM_HINTS[String(error.code)],
  };
}

const FULL =
  'Free space on the full disk. hoop keeps its files in HOOP_HOME, or in the XDG directories.';
const NOT_OURS = 'Check who owns it, and as which user you are running.';
const TOO_MANY = 'Raise the limit on open files (`ulimit -n`).';
const ELSEWHERE = 'Set HOOP_HOME or the XDG variables to a writable directory.';
const SYSTEM_HINTS: Readonly<Record<string, string>> = {
  // What Node.js says of a directory that is to be made with those above it.
  'mkdir ENOENT': `The file system may be read-only. ${ELSEWHERE}`,
  ENOSPC: FULL,
  EDQUOT: FULL,
  EROFS: ELSEWHERE,
  ENOTDIR: 'There is a file where a directory must be.',
  EACCES: NOT_OURS,
  EPERM: NOT_OURS,
  EMFILE: TOO_MANY,
  ENFILE: TOO_MANY,
};

function bug(error: unknown): Shown {
  const message = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error && error.stack ? error.stack : 'There is no stack.';
  return {
    code: 'HOOP_INTERNAL',
    message: `unexpected failure inside hoop: ${withoutSecrets(message.split('\n')[0] ?? '')}`,
    detail: withoutSecrets(stack),
    hint: 'This is a bug in hoop. Please report it with the lines above and the output of `hoop --version`.',
  };
}

/**
 * Errors that we did not write may quote what they choked on. Tokens, passwords in URLs and
 * private keys have shapes that can be recognised; this is the second net, not the first.
 */
function withoutSecrets(text: string): string {
  return text
    .replace(/\b(DPoP|Bearer)\s+[\w.~+/-]{16,}=*/g, '$1 <secret>')
    .replace(/\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*/g, '<secret>')
    .replace(/\b([a-z][a-z0-9+.-]*:\/\/[^\s:/@]*):[^\s@]+@/gi, '$1:<secret>@')
    .replace(/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*-----|$)/g, '<secret>')
    .replace(
      /\b(password|passwd|token|secret|authorization)(["']?\s*[:=]\s*["']?)[^\s"',;]+/gi,
      '$1$2<secret>',
    );
}
