/** The rule that allows one command, or one redirection, of a text. */
import type { RuleRef } from '../../../policy/types.ts';
import { commandFits, isOpen } from './match-command.ts';
import { pathMatches } from './paths.ts';
import type { ShellFacts, ShellRedirection, SimpleCommand, StartedBy } from './shell-types.ts';
import type { CommandPattern, SshRule } from './types.ts';

/** What only decides, or prints its own words, wherever one may run anything at all. */
const FREE = new Set([
  'cd',
  'pwd',
  'true',
  'false',
  ':',
  'exit',
  'return',
  'break',
  'continue',
  'shift',
  'wait',
  'echo',
  'printf',
  'test',
  '[',
]);

/** @returns empty: it needs no rule; undefined: no rule allows it. */
export function allowingCommand(
  command: SimpleCommand,
  facts: ShellFacts,
  rules: readonly SshRule[],
): readonly RuleRef[] | undefined {
  if (command.isReader && command.assignments.length === 0) {
    return [];
  }
  const own = allowing(rules, (pattern) => fits(pattern, command));
  if (own !== undefined) {
    return [own];
  }
  const writer = writtenOutBy(command.startedBy, facts, rules);
  return writer === undefined ? (isFree(command) ? [] : undefined) : [writer];
}

/**
 * A command that is started by another one stands in the pattern of that one, and is not just
 * covered by a star there: `sudo systemctl restart *` says that systemctl is meant.
 */
export function isWrittenOut(
  startedBy: StartedBy | undefined,
  facts: ShellFacts,
  rules: readonly SshRule[],
): boolean {
  return writtenOutBy(startedBy, facts, rules) !== undefined;
}

function writtenOutBy(
  startedBy: StartedBy | undefined,
  facts: ShellFacts,
  rules: readonly SshRule[],
): RuleRef | undefined {
  let from = startedBy;
  let at = from?.at;
  while (from !== undefined && at !== undefined) {
    const outer = facts.commands[from.command];
    const place = at;
    const rule =
      outer && allowing(rules, (pattern) => fits(pattern, outer) && says(pattern, outer, place));
    if (rule !== undefined) {
      return rule;
    }
    from = outer?.startedBy;
    const next = from?.at;
    at = next === 'all' || at === 'all' ? next && 'all' : next && next + at;
  }
  return undefined;
}

/** Whether the pattern has a word of its own for that place. */
function says({ words }: CommandPattern, outer: SimpleCommand, at: number | 'all'): boolean {
  const own = words.slice(outer.assignments.length);
  // A variable behind env or sudo is never what a star stands for.
  const sets = outer.words.some(
    (word, index) =>
      typeof word === 'string' &&
      /^[A-Za-z_]\w*=/.test(word) &&
      (at === 'all' || index < at) &&
      isOpen(own[index] ?? '*'),
  );
  if (sets) {
    return false;
  }
  const word = at === 'all' ? undefined : own[at];
  return at === 'all' ? !own.some(isOpen) : word !== undefined && !isOpen(word);
}

function allowing(
  rules: readonly SshRule[],
  test: (pattern: CommandPattern) => boolean,
): RuleRef | undefined {
  return rules.find(
    ({ effect, commands }) => effect !== 'deny' && commands.some((one) => !one.exact && test(one)),
  )?.rule;
}

/** Variables that are set for the command stand in the pattern as they are: `NODE_ENV=test npm **`. */
function fits({ words }: CommandPattern, command: SimpleCommand): boolean {
  const { assignments } = command;
  return (
    assignments.every(
      ({ name, value }, index) => value !== undefined && words[index] === `${name}=${value}`,
    ) && commandFits(words.slice(assignments.length), command.words)
  );
}

function isFree({ words, assignments }: SimpleCommand): boolean {
  const [program, ...args] = words;
  if (typeof program !== 'string' || !FREE.has(program) || assignments.length > 0) {
    return false;
  }
  // A variable that is compared, or gone to, tells little; one that is printed may be a secret.
  const isTest = program === 'test' || program === '[' || program === 'cd';
  return args.every((word) => typeof word === 'string' || (isTest && word.unknown === 'one'));
}

/** One rule has to have both: the commands whose input or output it is, and the file. */
export function allowingRedirection(
  { path, operations, from, to }: ShellRedirection,
  { commands }: ShellFacts,
  rules: readonly SshRule[],
): RuleRef | undefined {
  const redirected = commands
    .slice(from, to)
    .filter(
      ({ isReader, startedBy }) =>
        !isReader && (startedBy === undefined || commands[startedBy.command]?.isReader !== false),
    );
  if (path === undefined || redirected.length === 0) {
    return undefined;
  }
  return rules.find(
    (rule) =>
      rule.effect !== 'deny' &&
      rule.paths.some((pattern) => pathMatches(pattern, path)) &&
      operations.every((one) => rule.operations.length === 0 || rule.operations.includes(one)) &&
      redirected.every((command) =>
        rule.commands.some((pattern) => !pattern.exact && fits(pattern, command)),
      ),
  )?.rule;
}
