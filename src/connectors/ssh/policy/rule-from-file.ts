/** One rule about servers, from YAML to `SshRule`, with what is wrong with it. */
import type * as z from 'zod';
import type { RuleStart } from '../../../policy/connector.ts';
import type { YamlPath } from '../../../policy/yaml-document.ts';
import { destination } from './destinations.ts';
import { isPathPattern } from './paths.ts';
import type { SSH_CONDITIONS } from './rule-schema.ts';
import type { SshAct, SshRule } from './types.ts';

type SshKey = keyof typeof SSH_CONDITIONS;
type RuleConditions = z.output<z.ZodObject<typeof SSH_CONDITIONS>>;
type Report = (key: YamlPath, message: string) => void;

/** Of allow, deny and approve: these make it a rule about servers. */
const SSH_KEYS: readonly SshKey[] = [
  'ssh',
  'users',
  'commands',
  'exact',
  'paths',
  'operations',
  'destinations',
];

/** @returns nothing when it is so wrong that there is no rule. */
export function sshRuleFrom(
  values: Readonly<Record<string, unknown>>,
  start: RuleStart,
  report: Report,
): SshRule[] {
  // SSH_CONDITIONS has let it through.
  const conditions = values as RuleConditions;
  if (conditions.ssh === undefined) {
    const key = SSH_KEYS.find((one) => conditions[one] !== undefined) ?? 'ssh';
    report([key], `${key}: needs ssh as well, such as ssh: exec`);
    return [];
  }
  const named = new Set([conditions.ssh].flat());
  checkKeys(conditions, named, report);
  checkTogether(conditions, named, start, report);
  const { commands, exact = false, paths = [], operations = [], destinations = [] } = conditions;
  checkPatterns({ paths, destinations }, report);
  return [
    {
      ...start,
      acts: [...named].flatMap((act): SshAct['kind'][] =>
        act === 'sftp' ? ['sftp', 'file'] : [act],
      ),
      users: conditions.users ?? [],
      commands: (commands === 'unknown' ? [] : (commands ?? [])).flatMap((text, index) => {
        const words = commandPattern(text);
        if (typeof words === 'string') {
          report(['commands', index], words);
          return [];
        }
        return [{ words, exact }];
      }),
      unknown: commands === 'unknown',
      paths,
      operations,
      destinations,
    },
  ];
}

/** Conditions that the acts of the rule know. */
function checkKeys(conditions: RuleConditions, named: ReadonlySet<string>, report: Report): void {
  const needs = {
    commands: ['exec'],
    exact: ['exec'],
    paths: ['sftp', 'exec'],
    operations: ['sftp', 'exec'],
    destinations: ['forward'],
  } as const;
  for (const [key, acts] of Object.entries(needs)) {
    const isThere = SSH_KEYS.some((one) => one === key && conditions[one] !== undefined);
    if (isThere && !acts.some((act) => named.has(act))) {
      report([key], `${key}: this is about ssh: ${acts.join(' or ')}`);
    }
  }
}

/** What would be read in two ways. */
function checkTogether(
  { commands, exact, paths, operations }: RuleConditions,
  named: ReadonlySet<string>,
  { effect }: RuleStart,
  report: Report,
): void {
  if (commands === 'unknown' && effect === 'allow') {
    report(
      ['commands'],
      'commands: unknown can be approved or denied; leave commands out to allow any',
    );
  }
  if (exact !== undefined && !Array.isArray(commands)) {
    report(['exact'], 'exact: needs a list of commands as well');
  }
  if (operations !== undefined && paths === undefined && !named.has('sftp')) {
    report(['operations'], 'operations: needs paths as well');
  }
  if (paths === undefined || !named.has('exec')) {
    return;
  }
  if (effect !== 'allow' && commands !== undefined) {
    report(['paths'], 'paths: in deny and approve, use one rule for commands and one for paths');
  }
  if (effect === 'allow' && !Array.isArray(commands)) {
    // Paths say where redirections of these commands may lead, and restrict nothing else in them.
    report(['paths'], 'paths: with exec, expected a list of commands beside it');
  }
  if (exact === true) {
    report(['paths'], 'paths: an exact command has no redirections');
  }
}

function checkPatterns(
  { paths, destinations }: { paths: readonly string[]; destinations: readonly string[] },
  report: Report,
): void {
  for (const [index, pattern] of paths.entries()) {
    if (!isPathPattern(pattern)) {
      report(
        ['paths', index],
        'expected an absolute path such as "/srv/app/**", without . and .. and a slash at its end; ** stands alone between slashes',
      );
    }
  }
  for (const [index, text] of destinations.entries()) {
    if (destination(text) === undefined) {
      report(
        ['destinations', index],
        'expected host:port, such as "127.0.0.1:8080", "db.internal:*" or "[::1]:80"',
      );
    }
  }
}

// Patterns of commands as they stand in a rule, to words (`CommandPattern`).

const MAX_WORDS = 100;

/**
 * Words are parted by spaces. Quotes, single or double, keep what is in them together, and make a
 * star in them one of the text.
 *
 * @returns what is wrong with it, as text.
 */
function commandPattern(text: string): readonly string[] | string {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (const character of text) {
    if (/[\p{C}\u2028\u2029]/u.test(character)) {
      return 'expected one line of printable text';
    }
    if (character === quote) {
      quote = undefined;
    } else if (quote !== undefined) {
      word = (word ?? '') + (/[*\\]/.test(character) ? `\\${character}` : character);
    } else if (character === "'" || character === '"') {
      quote = character;
      word ??= '';
    } else if (character === ' ') {
      words.push(...(word === undefined ? [] : [word]));
      word = undefined;
    } else if (/[;&|<>()`$\\{}?[\]~#!]/.test(character)) {
      return `"${character}" stands for itself only in quotes; a pattern is the words of one command`;
    } else {
      word = (word ?? '') + character;
    }
  }
  if (quote !== undefined) {
    return 'a quote is not closed';
  }
  words.push(...(word === undefined ? [] : [word]));
  return wordsProblem(words) ?? words;
}

function wordsProblem(words: readonly string[]): string | undefined {
  if (words.length === 0 || words.length > MAX_WORDS) {
    return 'expected the words of a command, such as "journalctl **"';
  }
  if (words.slice(0, -1).includes('**')) {
    return '"**" stands for the remaining words, so it must be at the end';
  }
  const [program = ''] = words;
  if (program !== '**' && program !== '*' && program.replaceAll(/\\./g, '').includes('*')) {
    return 'write the program out; a star can stand for any program, or for what follows';
  }
  return undefined;
}
