/** Commands that are exactly what a rule says, quoted anew: no shell can read them otherwise. */
import type { RuleRef } from '../../../policy/types.ts';
import { commandFits, isOpen } from './match-command.ts';
import type { ShellFacts } from './shell-types.ts';
import type { SshRule } from './types.ts';

/** The whole text is one command, every word of it is known, and nothing else is in it. */
export function exactCommand(
  facts: ShellFacts,
  rules: readonly SshRule[],
): { readonly rule: RuleRef; readonly command: string } | undefined {
  const [only, second] = facts.commands.filter(({ startedBy }) => startedBy === undefined);
  if (
    only === undefined ||
    second !== undefined ||
    !facts.isSingle ||
    only.assignments.length > 0 ||
    facts.redirections.length > 0
  ) {
    return undefined;
  }
  const words = only.words.filter((word) => typeof word === 'string');
  if (words.length < only.words.length || words.some((word) => /\p{Cc}/u.test(word))) {
    return undefined;
  }
  // What starts something else in its turn has to stand there without a star.
  const isAlone = facts.commands.length === 1 && facts.unknown.length === 0;
  const found = rules.find(
    ({ effect, commands }) =>
      effect !== 'deny' &&
      commands.some(
        (one) => one.exact && (isAlone || !one.words.some(isOpen)) && commandFits(one.words, words),
      ),
  );
  return found && { rule: found.rule, command: words.map(quoted).join(' ') };
}

/** Single quotes, which every shell reads the same; a quote in it stands behind a backslash. */
function quoted(word: string): string {
  return /^[A-Za-z0-9_-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
