/**
 * The gateway's log: one event per line, JSON, or text for a person at a terminal. No SQL, no
 * values, no tokens: callers pass names and numbers, and of an error only what is known to be free
 * of content is written.
 */
import type { Writable } from 'node:stream';
import { HoopError } from '../../errors.ts';

type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** A log that adds these fields to each of its lines. */
  with(fields: LogFields): Log;
}

export interface LogOptions {
  readonly stream: Writable;
  readonly json: boolean;
  readonly level?: LogLevel;
  readonly clock?: () => number;
}

const RANK = { debug: 0, info: 1, warn: 2, error: 3 } as const satisfies Record<LogLevel, number>;
/** Longer values are cut: a log line must not become a way to fill the disk. */
const MAX_VALUE_LENGTH = 2000;

export function createLog(options: LogOptions): Log {
  const least = RANK[options.level ?? 'info'];
  const clock = options.clock ?? Date.now;
  const render = options.json ? jsonLine : textLine;

  function at(context: LogFields): Log {
    const write = (level: LogLevel, event: string, fields: LogFields = {}): void => {
      if (RANK[level] >= least) {
        const time = new Date(clock()).toISOString();
        options.stream.write(render({ time, level, event }, { ...context, ...fields }));
      }
    };
    return {
      debug: (event, fields) => write('debug', event, fields),
      info: (event, fields) => write('info', event, fields),
      warn: (event, fields) => write('warn', event, fields),
      error: (event, fields) => write('error', event, fields),
      with: (fields) => at({ ...context, ...fields }),
    };
  }
  return at({});
}

/** A target's refusal of the gateway's own login, in words that may stand in a log and nowhere else. */
export class TargetRefusal extends Error {}

/**
 * What a log may say about an error. The text of a HoopError and of a failed system call never
 * holds content; that of anything else (a driver, a parser) may, so only its kind and place go in.
 */
export function errorFields(error: unknown): LogFields {
  if (error instanceof HoopError) {
    const cause = error.cause === undefined ? {} : { cause: summary(error.cause) };
    return { code: error.code, message: error.message, detail: error.detail, ...cause };
  }
  return { message: summary(error), at: isSystemError(error) ? undefined : place(error) };
}

function summary(error: unknown): string {
  // The operator must read why a server does not take the credential; nobody else does.
  if (error instanceof HoopError || error instanceof TargetRefusal || isSystemError(error)) {
    return error.message;
  }
  return error instanceof Error ? error.name : typeof error;
}

function isSystemError(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}

/** The stack without its first lines, which repeat the message. */
function place(error: unknown): string | undefined {
  if (!(error instanceof Error) || error.stack === undefined) {
    return undefined;
  }
  const frames = error.stack.split('\n').filter((line) => /^\s+at /.test(line));
  return frames
    .slice(0, 6)
    .map((line) => line.trim())
    .join(' | ');
}

interface Head {
  readonly time: string;
  readonly level: LogLevel;
  readonly event: string;
}

function jsonLine(head: Head, fields: LogFields): string {
  const entries = Object.entries(fields).map(([key, value]) => [key, bounded(value)]);
  return `${JSON.stringify({ ...head, ...Object.fromEntries(entries) })}\n`;
}

function textLine(head: Head, fields: LogFields): string {
  const parts = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${quoted(bounded(value))}`);
  return `${head.time} ${head.level} ${head.event}${parts.length > 0 ? ` ${parts.join(' ')}` : ''}\n`;
}

function bounded(value: LogFields[string]): LogFields[string] {
  return typeof value === 'string' && value.length > MAX_VALUE_LENGTH
    ? `${value.slice(0, MAX_VALUE_LENGTH)}…`
    : value;
}

/** Names come from outside: on a terminal, whatever is not plain is shown as JSON shows it. */
function quoted(value: LogFields[string]): string {
  const text = String(value);
  if (/^[\w.:/@+-]+$/.test(text)) {
    return text;
  }
  return JSON.stringify(text).replace(
    /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
