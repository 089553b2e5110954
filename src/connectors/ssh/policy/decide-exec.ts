/**
 * A command text against the rules: every command in it must be allowed, none may be denied, and
 * what cannot be read may be anything, so it is refused where a rule would have to know.
 */

import { demandOf, deniedBy, unanswerable } from '../../../policy/decide-by-rules.ts';
import type { ApprovalDemand, Refusal, RuleRef } from '../../../policy/types.ts';
import { allowSnippet, conditionsSnippet } from '../../../policy/words/rule-snippet.ts';
import { allowingCommand, allowingRedirection, isWrittenOut } from './allowing-rules.ts';
import { decideOpening } from './decide-opening.ts';
import { commandFits, commandMayFit, isOpen, MAYBE, NO, YES } from './match-command.ts';
import { isNormalPath, pathMayMatch } from './paths.ts';
import { shellFacts } from './shell-facts.ts';
import type { ShellFacts, SimpleCommand, UnknownPart } from './shell-types.ts';
import { type SshCase, sshRefusal } from './ssh-refusal.ts';
import type { SshAct, SshRule, SshVerdict } from './types.ts';

/** Programs in the index, and characters of each name. */
const MAX_TOUCHES = 32;
const MAX_TOUCH = 128;

type ExecAct = Extract<SshAct, { kind: 'exec' }>;

export function decideExec(given: SshCase, act: ExecAct): SshVerdict {
  const { command } = act;
  const one = { ...given, rules: given.rules.filter(({ acts }) => acts.includes('exec')) };
  const facts = factsOf(act);
  const touches = programs(facts);
  const outcome = decide(one, given, facts);
  if ('code' in outcome) {
    return { effect: 'refuse', refusal: outcome, touches };
  }
  const { rules, approvals, anew } = outcome;
  return {
    effect: 'allow',
    rules,
    ...(approvals.length === 0 ? {} : { approvals }),
    ...(anew === undefined || anew === command ? {} : { command: anew }),
    touches,
  };
}

function factsOf({ command, unread }: ExecAct): ShellFacts {
  if (command !== undefined && unread === undefined) return shellFacts(command);
  const reason = unread ?? 'it is not UTF-8';
  return {
    isSingle: false,
    commands: [],
    redirections: [],
    unknown: [{ reason, startedBy: undefined }],
  };
}

interface Allowed {
  readonly rules: readonly RuleRef[];
  readonly approvals: readonly ApprovalDemand[];
  /** The command as the gateway quotes it. */
  readonly anew?: string;
}

/** @param given with the rules about other acts, too */
function decide(one: SshCase, given: SshCase, facts: ShellFacts): Allowed | Refusal {
  const { rules } = one;
  const exact = exactCommand(facts, rules);
  // What a rule writes out word for word is no unknown, whatever it goes on to do.
  const shell = exact === undefined ? shellRules(given, facts) : undefined;
  const hidden =
    exact === undefined && shell === undefined
      ? facts.unknown.filter(({ startedBy }) => !isWrittenOut(startedBy, facts, rules))
      : [];
  const denies = rules.filter(({ effect }) => effect === 'deny');
  const sure = denies.find((rule) => speaksOf(rule, facts, hidden.length > 0) === YES);
  if (sure !== undefined) {
    return deniedBy(one, sure, deniedText(facts, sure));
  }
  const doubt = denies.find((rule) => speaksOf(rule, facts, hidden.length > 0) === MAYBE);
  const approvals = rules
    .filter((rule) => speaksOf(rule, facts, hidden.length > 0 || doubt !== undefined) !== NO)
    .flatMap(demandOf);
  const nobody = unanswerable(one, approvals, 'the command');
  if (nobody !== undefined) {
    return nobody;
  }
  const demanded = approvals.map(({ rule }) => rule);
  const any = rules.find((rule) => rule.effect !== 'deny' && isAboutAny(rule));
  const readers = approvals.filter(({ rule }) => rules.some((r) => r.unknown && r.rule === rule));
  if ((doubt !== undefined || (hidden.length > 0 && any === undefined)) && readers.length === 0) {
    return unreadable(one, facts, hidden[0], doubt);
  }
  if (shell !== undefined) {
    return { rules: distinct([...shell, ...demanded]), approvals };
  }
  if (any !== undefined) {
    return { rules: distinct([any.rule, ...demanded]), approvals };
  }
  if (exact !== undefined) {
    return { rules: distinct([exact.rule, ...demanded]), approvals, anew: exact.command };
  }
  const allowing = allowingAll(one, facts, readers.length > 0);
  return 'code' in allowing
    ? allowing
    : { rules: distinct([...allowing.rules, ...demanded]), approvals };
}

/** A rule for every part that can be read; there may be none when people read it in our place. */
function allowingAll(
  one: SshCase,
  facts: ShellFacts,
  isReadByPeople: boolean,
): { readonly rules: RuleRef[] } | Refusal {
  const found: RuleRef[] = [];
  for (const command of facts.commands) {
    const [program] = command.words;
    if (typeof program !== 'string') {
      // Among what is hidden.
      continue;
    }
    const rule = allowingCommand(command, facts, one.rules);
    if (rule === undefined) {
      return sshRefusal(one, 'exec', {
        code: 'HOOP_NOT_ALLOWED',
        message: `${subjectOf(command)} is not allowed by policy${withThese(command, one.rules)}`,
      });
    }
    found.push(...rule);
  }
  for (const redirection of facts.redirections) {
    const rule = allowingRedirection(redirection, facts, one.rules);
    if (rule === undefined) {
      const how = redirection.operations.includes('write') ? 'writing to' : 'reading from';
      return sshRefusal(one, 'exec', {
        code: 'HOOP_NOT_ALLOWED',
        message: `${how} a file by redirection is not allowed by policy`,
        detail: 'A rule with commands allows it with paths.',
      });
    }
    found.push(rule);
  }
  const rules = found.length > 0 ? found : freely(one.rules);
  return rules.length > 0 || isReadByPeople
    ? { rules }
    : sshRefusal(one, 'exec', {
        code: 'HOOP_NOT_ALLOWED',
        message: 'commands are not allowed by policy',
      });
}

/** Of `cd` and `true` alone: whoever may run anything may do nothing. */
function freely(rules: readonly SshRule[]): RuleRef[] {
  return rules
    .filter(({ effect }) => effect === 'allow')
    .map(({ rule }) => rule)
    .slice(0, 1);
}

function isAboutAny({ commands, unknown, paths }: SshRule): boolean {
  return commands.length === 0 && !unknown && paths.length === 0;
}

/** Whether a deny or approve rule speaks of any part of it. */
function speaksOf(rule: SshRule, facts: ShellFacts, isHidden: boolean): 0 | 1 | 2 {
  if (rule.unknown) {
    return isHidden ? YES : NO;
  }
  if (isAboutAny(rule)) {
    return YES;
  }
  let most: 0 | 1 | 2 = isHidden ? MAYBE : NO;
  for (const { words } of facts.commands) {
    for (const pattern of rule.commands) {
      const fits = commandMayFit(pattern.words, words);
      most = fits > most ? fits : most;
    }
  }
  if (rule.commands.length > 0) {
    return most;
  }
  for (const { path } of facts.redirections) {
    const fits =
      path === undefined || !isNormalPath(path)
        ? MAYBE
        : rule.paths.some((pattern) => pathMayMatch(pattern, path))
          ? YES
          : NO;
    most = fits > most ? fits : most;
  }
  return most;
}

function unreadable(
  one: SshCase,
  facts: ShellFacts,
  hidden: UnknownPart | undefined,
  doubt: SshRule | undefined,
): Refusal {
  const why = hidden?.reason ?? 'a word in it is not literal';
  const known =
    doubt === undefined
      ? 'What it runs is known only at run time.'
      : `Rule ${doubt.rule.id} may deny it.`;
  return sshRefusal(one, 'exec', {
    code: 'HOOP_UNPARSED',
    message: `the command cannot be checked against the rules: ${why}`,
    detail: isShell(facts) ? `${known} ${wayOfShells(facts)}` : known,
  });
}

/** Names of programs, as far as they are known. */
function programs({ commands }: ShellFacts): string[] {
  const names = commands.flatMap(({ words: [program], isReader }) =>
    typeof program === 'string' && !isReader ? [program.slice(0, MAX_TOUCH)] : [],
  );
  return [...new Set(names)].slice(0, MAX_TOUCHES);
}

function nameOf({ words: [program] }: SimpleCommand): string {
  return typeof program === 'string' && /^[\w.+/-]{1,100}$/.test(program) ? program : 'the command';
}

function deniedText({ commands }: ShellFacts, rule: SshRule): string {
  const hit = commands.find(({ words }) =>
    rule.commands.some((pattern) => commandMayFit(pattern.words, words) === YES),
  );
  return `${hit === undefined ? 'the command' : subjectOf(hit)} is denied by policy`;
}

/** What a sentence is about that goes on with "is": also where the text has another word for it. */
function subjectOf(command: SimpleCommand): string {
  const { standsFor } = command;
  return standsFor === undefined
    ? nameOf(command)
    : `${standsFor} counts as ${nameOf(command)}, which`;
}

/** " with these arguments", where a rule knows the program. */
function withThese(command: SimpleCommand, rules: readonly SshRule[]): string {
  const [program] = command.words;
  const known =
    program !== undefined &&
    rules.some(({ effect, commands }) =>
      commands.some(
        ({ words }) => effect !== 'deny' && commandMayFit(words.slice(0, 1), [program]) === YES,
      ),
    );
  return known ? ' with these arguments' : '';
}

function distinct(refs: readonly RuleRef[]): RuleRef[] {
  return refs.filter(({ id }, index) => refs.findIndex((other) => other.id === id) === index);
}

// Shells that read their input, as editors start them: `ssh host bash`, with the commands on stdin.
// Such a command does what a shell does that is asked for by itself, so the rules about shells hold.

/** Nothing runs but shells that read their input. */
function isShell({ commands, redirections, unknown }: ShellFacts): boolean {
  return (
    unknown.length > 0 &&
    unknown.every(({ isInput }) => isInput === true) &&
    redirections.length === 0 &&
    commands.every(({ isReader, assignments }) => isReader && assignments.length === 0)
  );
}

/** @returns the rules that allow a shell by themselves, without people */
function shellRules(given: SshCase, facts: ShellFacts): readonly RuleRef[] | undefined {
  if (!isShell(facts)) {
    return undefined;
  }
  const verdict = decideOpening(given, 'shell');
  return verdict.effect === 'allow' && verdict.approvals === undefined ? verdict.rules : undefined;
}

function wayOfShells({ commands: [command] }: ShellFacts): string {
  const words = command?.words.filter((word) => typeof word === 'string') ?? [];
  const text = words.join(' ');
  const exact = /^[\w./ -]{1,60}$/.test(text)
    ? `, and so does ${conditionsSnippet({ ssh: 'exec', commands: [text], exact: true })}`
    : '';
  return `A rule with ${allowSnippet({ ssh: 'shell' })} allows it${exact}.`;
}

// Commands that are exactly what a rule says, quoted anew: no shell can read them otherwise.

/** The whole text is one command, every word of it is known, and nothing else is in it. */
function exactCommand(
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
