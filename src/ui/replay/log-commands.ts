/**
 * Several CI systems obey what a job prints. GitHub's runner takes a line that begins with `::`,
 * after white space, as a command, and `##[…` anywhere in a line; Azure Pipelines `##vso[…`, TeamCity
 * `##teamcity[…`. What comes from a database or a gateway must not be one: it could hide text,
 * fail a job, or set its outputs.
 *
 * https://docs.github.com/actions/reference/workflow-commands-for-github-actions
 */
import type { Writable } from 'node:stream';
import { visible } from '../text/printable.ts';

/** The colon or bracket without which it is none, as the last character of the match. */
const COMMAND = /(?:^|(?<=[\n\r]))[\s\u0085]*::|##[a-z]*\[/gi;
/** Longer than what may stand before a bracket. */
const CONTEXT = 16;

export function obeysOutput(env: NodeJS.ProcessEnv): boolean {
  return ['GITHUB_ACTIONS', 'TF_BUILD', 'TEAMCITY_VERSION'].some((name) => env[name]);
}

/**
 * @param before what was written to the same stream before, as `lineEnd` keeps it
 * @returns the same with the last character of each command shown by its number
 */
export function withoutLogCommands(text: string, before = ''): string {
  return `${before}${text}`
    .replace(COMMAND, (command) => `${command.slice(0, -1)}${visible(command.slice(-1))}`)
    .slice(before.length);
}

/** What of a text the next one on the stream must be read with: it may come in pieces. */
function lineEnd(text: string): string {
  const line = text.slice(Math.max(text.lastIndexOf('\n'), text.lastIndexOf('\r')) + 1);
  return /^[\s\u0085]*:?$/.test(line) ? line.trimStart() : `x${line.slice(-CONTEXT)}`;
}

/**
 * From here on text that is written to the stream has no commands. Bytes go through as they are:
 * they are recordings, and what a command that hoop runs has printed itself.
 */
export function neutraliseLogCommands(stream: Pick<Writable, 'write'>): void {
  const write = stream.write.bind(stream);
  let before = '';
  const neutral = (chunk: unknown): unknown => {
    if (typeof chunk !== 'string') {
      before = '';
      return chunk;
    }
    const safe = withoutLogCommands(chunk, before);
    before = lineEnd(before + chunk);
    return safe;
  };
  stream.write = (chunk: unknown, ...rest: unknown[]) =>
    Reflect.apply(write, stream, [neutral(chunk), ...rest]);
}
