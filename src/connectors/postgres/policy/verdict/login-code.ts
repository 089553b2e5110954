/**
 * Code in a statement, read for what it could do to logins: bodies of DO, functions and procedures in
 * SQL and PL/pgSQL. It is read by its words and not parsed, so that what may be such a change counts as
 * one: a command that is put together from pieces, unless format(), quote_ident() or quote_literal()
 * keep them apart.
 */

import { builtInEffect, extensionReach } from '../calls/functions-table.ts';
import { isBuiltIn } from '../facts/names.ts';
import { settingEffect } from '../facts/settings-table.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { as, type FieldsOf, type Node, stringOf } from '../parse/tree.ts';
import { type SqlToken, sqlTokens, textInside } from '../walk/sql-tokens.ts';
import {
  functionAtLogin,
  isLoginCatalog,
  Logins,
  noteLogin,
  schemaAtLogin,
} from './login-changes.ts';
import { runsGivenText } from './runs-given-text.ts';

interface Word {
  readonly kind: 'word' | 'name' | 'string' | 'other';
  /** A word in lower case, a name or string without its quotes. */
  readonly text: string;
  /** What stands there is not known. */
  readonly isOpen: boolean;
}

interface CodeFinding {
  /** A phrase, for the refusal. */
  readonly reason: string;
  /** A variable holds the whole command: calls of such a function are looked at (catalog-queries.ts). */
  readonly isSeenAtCall: boolean;
}

const READ: ReadonlySet<string> = new Set(['plpgsql', 'sql']);
const NOT_SQL: ReadonlySet<string> = new Set(['c', 'internal']);
const ROLE_WORDS: ReadonlySet<string> = new Set(['role', 'user', 'group']);
const WRITING: ReadonlySet<string> = new Set(['update', 'insert', 'delete', 'merge']);
/** Stands for a name or value that format() puts in. */
const OPEN = '\u0001';
export const HIDDEN = 'it runs SQL that is put together when it runs';
const ROLES = 'it changes roles';
const SERVER = 'it reaches files, programs or administration of the server';
/** What only administrators make: as statements of their own these need a rule that names them. */
const SERVER_OBJECTS: ReadonlySet<string> = new Set(['extension', 'language', 'subscription']);

/** Of DO, CREATE FUNCTION and CREATE PROCEDURE. Code in C and the like needs rules of other kinds. */
export function noteLoginCode(
  facts: StatementFacts,
  options: readonly Node[] | undefined,
  called: 'by a statement' | 'in any call',
): void {
  const option = (name: string): Node | undefined =>
    (options ?? []).map((one) => as(one, 'DefElem')).find((one) => one?.defname === name)?.arg;
  const code = option('as');
  const [body] = as(code, 'List')?.items ?? [code];
  const language = stringOf(option('language')) ?? 'plpgsql';
  if (NOT_SQL.has(language)) return;
  const finding = READ.has(language)
    ? inText(facts, stringOf(body) ?? '', 0)
    : found(`hoop does not read code in ${language}`);
  if (finding === undefined || (finding.isSeenAtCall && called === 'by a statement')) return;
  noteLogin(facts, finding.reason);
}

/** A trigger function is called by no statement. */
export function noteLoginsOfFunction(
  facts: StatementFacts,
  fields: FieldsOf<'CreateFunctionStmt'>,
): void {
  const [returned] = (fields.returnType?.names ?? []).slice(-1).map(stringOf);
  const isTrigger = returned === 'trigger' || returned === 'event_trigger';
  noteLoginCode(facts, fields.options, isTrigger ? 'in any call' : 'by a statement');
  const body = JSON.stringify(fields.sql_body ?? {});
  const writes = /"(?:Insert|Update|Delete|Merge)Stmt"/.test(body);
  const relations = [...body.matchAll(/"relname":"(\w+)"/g)].map(([, name = '']) => name);
  if (writes && relations.some(isLoginCatalog)) noteLogin(facts, 'it writes to catalogs of roles');
}

/** @returns why a text that is run as SQL may change logins */
export function loginChangeIn(facts: StatementFacts, text: string): string | undefined {
  return inText(facts, text, 1)?.reason;
}

const MAX_LEVELS = 8;

function inText(facts: StatementFacts, text: string, level: number): CodeFinding | undefined {
  if (level > MAX_LEVELS) return found(HIDDEN);
  let piece: Word[] = [];
  const pieces = [piece];
  for (const token of wordsOf(text)) {
    if (token.kind === 'other' && token.text === ';') {
      piece = [];
      pieces.push(piece);
    } else {
      piece.push(token);
    }
  }
  for (const one of pieces) {
    facts.budget.spend(one.length);
    const finding = inPiece(facts, one, level);
    if (finding !== undefined) return finding;
  }
  return undefined;
}

function wordsOf(text: string): readonly Word[] {
  return sqlTokens(text).flatMap(wordsIn);
}

function wordsIn(token: SqlToken): readonly Word[] {
  switch (token.kind) {
    case 'space':
    case 'comment':
      return [];
    case 'string':
    case 'dollar': {
      // Escapes are not read.
      const isPlain = token.kind === 'dollar' || token.text.startsWith("'");
      return [{ kind: 'string', text: textInside(token), isOpen: !isPlain }];
    }
    case 'name': {
      const inside = token.text.slice(token.text.indexOf('"') + 1, -1).replaceAll('""', '"');
      const isOpen = inside.includes(OPEN) || !token.text.startsWith('"');
      return [{ kind: 'name', text: inside, isOpen }];
    }
    case 'word':
      return [{ kind: 'word', text: token.text.toLowerCase(), isOpen: false }];
    case 'other':
      return [{ kind: 'other', text: token.text, isOpen: false }];
  }
}

function inPiece(
  facts: StatementFacts,
  piece: readonly Word[],
  level: number,
): CodeFinding | undefined {
  const nested = inStrings(facts, piece, level);
  if (nested !== undefined) return nested;
  // What is put in there can be the command itself.
  if (piece[0]?.isOpen && piece[0].kind === 'name') return found(HIDDEN);
  for (const [index, { kind, text }] of piece.entries()) {
    const rest = piece.slice(index + 1);
    const next = rest[0];
    const isCall = next?.kind === 'other' && next.text === '(';
    const finding =
      (kind === 'word' ? inCommand(facts, text, rest, level) : undefined) ??
      (isCall && (kind === 'word' || kind === 'name')
        ? inCall(facts, { piece, index, level })
        : undefined);
    if (finding !== undefined) return finding;
  }
  const writes = piece.some(({ kind, text }) => kind === 'word' && WRITING.has(text));
  const isLogin = piece.some(
    ({ kind, text, isOpen }) =>
      (kind === 'word' || kind === 'name') && (isOpen || isLoginCatalog(text)),
  );
  return writes && isLogin ? found('it may write to catalogs of roles') : undefined;
}

/** DO and CREATE FUNCTION inside of code: each string of theirs may be the body. */
function inStrings(
  facts: StatementFacts,
  piece: readonly Word[],
  level: number,
): CodeFinding | undefined {
  const words = new Set(piece.flatMap(({ kind, text }) => (kind === 'word' ? [text] : [])));
  const makes = words.has('create') && (words.has('function') || words.has('procedure'));
  if (!makes && !words.has('do')) return undefined;
  const named = piece.findIndex(({ kind, text }) => kind === 'word' && text === 'language');
  const language = piece[named + 1]?.text ?? '';
  if (named !== -1 && !READ.has(language)) return found(`hoop does not read code in ${language}`);
  for (const { kind, text, isOpen: open } of piece) {
    if (kind !== 'string') continue;
    const finding = open ? found(HIDDEN) : inText(facts, text, level + 1);
    if (finding !== undefined) return finding;
  }
  return undefined;
}

function inCommand(
  facts: StatementFacts,
  word: string,
  rest: readonly Word[],
  level: number,
): CodeFinding | undefined {
  switch (word) {
    case 'alter':
    case 'create':
    case 'drop':
      return inDefinition(facts, word, rest);
    case 'reassign':
      return ofHoop(facts, rest);
    case 'grant':
    case 'revoke':
      return inGrant(facts, word, rest);
    case 'execute':
      return inExecute(facts, rest, level);
    case 'copy':
      return rest.some(({ kind }) => kind === 'string') || has(rest, 'program')
        ? found('it reaches files or programs of the server')
        : undefined;
    default:
      return undefined;
  }
}

function inDefinition(
  facts: StatementFacts,
  word: string,
  rest: readonly Word[],
): CodeFinding | undefined {
  const [object] = rest;
  if (object?.isOpen) return found(HIDDEN);
  if (object?.kind === 'word' && SERVER_OBJECTS.has(object.text)) return found(SERVER);
  const atLogin = codeAtLogin(facts, word, rest);
  if (atLogin !== undefined) return found(atLogin);
  if (object?.text === 'owned') return ofHoop(facts, rest);
  if (object?.text === 'event') return has(rest, 'login') ? found(ROLES) : undefined;
  if (object?.text === 'database') {
    const isLocking = rest.some(
      ({ text }) =>
        ['allow_connections', 'connection', 'rename'].includes(text) ||
        text.endsWith('_timeout') ||
        (settingEffect(text) ?? 'names') !== 'names',
    );
    return isLocking || word === 'drop' ? found('it changes a database') : undefined;
  }
  if (!ROLE_WORDS.has(object?.text ?? '') || rest[1]?.text === 'mapping') return undefined;
  const options = rest.slice(2);
  const letsIn = object?.text === 'user' && word === 'create';
  const isLogin = has(options, 'login') || has(options, 'password') || options.some(isOpen);
  // IN ROLE, IN GROUP: which ones does not matter.
  const joins = word === 'create' && has(options, 'in');
  if (letsIn || isLogin || joins) return found(ROLES);
  return word === 'create' ? undefined : ofHoop(facts, rest.slice(1));
}

/** Definitions, and rights that are taken, of functions that run at every login and their schemas. */
function codeAtLogin(
  facts: StatementFacts,
  word: string,
  rest: readonly Word[],
): string | undefined {
  const names = rest
    .filter(({ kind }) => kind === 'word' || kind === 'name')
    .map(({ text, isOpen: open }) => (open ? undefined : text));
  if (has(rest, 'schema') && word !== 'create') {
    const reason = schemaAtLogin(facts, names);
    if (reason !== undefined) return reason;
  }
  const isFunction = ['function', 'functions', 'procedure', 'procedures', 'routine', 'routines'];
  if (rest[0]?.text === 'owned') return functionAtLogin(facts, [undefined]);
  return isFunction.some((kind) => has(rest, kind)) ? functionAtLogin(facts, names) : undefined;
}

function inGrant(
  facts: StatementFacts,
  word: string,
  rest: readonly Word[],
): CodeFinding | undefined {
  if (!has(rest, 'on')) return ofHoop(facts, rest);
  const atLogin = word === 'revoke' ? codeAtLogin(facts, word, rest) : undefined;
  if (atLogin !== undefined) return found(atLogin);
  const isWide = has(rest, 'database') || has(rest, 'pg_catalog') || rest.some(isOpen);
  return word === 'revoke' && isWide ? found('it takes rights from roles') : undefined;
}

/** EXECUTE of PL/pgSQL; of triggers and rights it is another word. */
function inExecute(
  facts: StatementFacts,
  rest: readonly Word[],
  level: number,
): CodeFinding | undefined {
  if (['function', 'procedure', 'on'].includes(rest[0]?.text ?? '')) return undefined;
  const end = rest.findIndex(
    ({ kind, text }) => kind === 'word' && ['into', 'loop', 'using'].includes(text),
  );
  const expression = end === -1 ? rest : rest.slice(0, end);
  const command = commandOf(expression);
  if (command !== undefined) return inText(facts, command, level + 1);
  const [first, , second] = expression;
  const isLiteral =
    first?.kind === 'string' || (first?.text === 'format' && second?.kind === 'string');
  return { reason: HIDDEN, isSeenAtCall: !isLiteral };
}

/** @returns what an expression makes of literals, format(), quote_ident() and quote_literal() */
function commandOf(expression: readonly Word[]): string | undefined {
  let command = '';
  let rest = expression;
  while (rest.length > 0) {
    const [first, open] = rest;
    if (first === undefined || first.isOpen) return undefined;
    const isCall = open?.kind === 'other' && open.text === '(';
    const length = isCall ? callLength(rest) : 1;
    const piece =
      first.kind === 'string'
        ? first.text
        : isCall
          ? calledText(first.text, rest.slice(2, length - 1))
          : undefined;
    if (piece === undefined) return undefined;
    command += piece;
    const joint = rest.slice(length, length + 2);
    if (joint.length > 0 && joint.map(({ text }) => text).join('') !== '||') return undefined;
    rest = rest.slice(length + 2);
  }
  return command;
}

function callLength(words: readonly Word[]): number {
  let depth = 0;
  for (const [index, { kind, text }] of words.entries()) {
    if (kind !== 'other') continue;
    if (text === '(') depth += 1;
    if (text === ')') depth -= 1;
    if (text === ')' && depth === 0) return index + 1;
  }
  return words.length;
}

function calledText(name: string, args: readonly Word[]): string | undefined {
  if (name === 'quote_ident') return `"${OPEN}"`;
  if (name === 'quote_literal' || name === 'quote_nullable') return "''";
  const [pattern, comma] = args;
  const isPlain = pattern?.kind === 'string' && !pattern.isOpen && (comma?.text ?? ',') === ',';
  if (name !== 'format' || !isPlain) return undefined;
  const text = pattern.text
    .replaceAll('%%', '\u0002')
    .replaceAll(/%(?:\d+\$)?I/g, `"${OPEN}"`)
    .replaceAll(/%(?:\d+\$)?L/g, "''");
  return text.includes('%') ? undefined : text.replaceAll('\u0002', '%');
}

function inCall(
  facts: StatementFacts,
  { piece, index, level }: { piece: readonly Word[]; index: number; level: number },
): CodeFinding | undefined {
  const [before, dot, called] = [piece[index - 2], piece[index - 1], piece[index]];
  if (called === undefined || called.isOpen) return found(HIDDEN);
  const { catalog } = facts.context;
  const isQualified = dot?.kind === 'other' && dot.text === '.';
  const schemas = isQualified && before !== undefined ? [before.text] : catalog.schemas;
  for (const schema of schemas) {
    for (const one of catalog.functions(schema, called.text)) {
      const isServer =
        isBuiltIn(one) &&
        builtInEffect(one.name, one.argTypeOids.length, one.volatility).kind === 'server';
      if (isServer || one.mayChangeLogins || extensionReach(one.extension) !== undefined) {
        return found(`it calls ${one.name}()`);
      }
      const given = runsGivenText(one) ? inGiven(facts, piece.slice(index), level) : undefined;
      if (given !== undefined) return given;
    }
  }
  return undefined;
}

/** Of a call: literals are read, and what else it may be given is not known. */
function inGiven(
  facts: StatementFacts,
  call: readonly Word[],
  level: number,
): CodeFinding | undefined {
  for (const word of call.slice(2, callLength(call) - 1)) {
    const isPart = word.kind === 'other' ? /[,\d.]/.test(word.text) : CONSTANTS.has(word.text);
    if (word.kind === 'string' && !word.isOpen) {
      const finding = inText(facts, word.text, level + 1);
      if (finding !== undefined) return finding;
    } else if (!isPart) {
      return found(HIDDEN);
    }
  }
  return undefined;
}

const CONSTANTS: ReadonlySet<string> = new Set(['true', 'false', 'null']);

function ofHoop(facts: StatementFacts, words: readonly Word[]): CodeFinding | undefined {
  const names = words
    .filter(({ kind }) => kind === 'word' || kind === 'name')
    .map(({ text, isOpen: open }) => (open || CURRENT.has(text) ? undefined : text));
  const reason = new Logins(facts).named(names);
  return reason === undefined ? undefined : found(reason);
}

const CURRENT: ReadonlySet<string> = new Set([
  'all',
  'current_role',
  'current_user',
  'session_user',
]);

function has(words: readonly Word[], word: string): boolean {
  return words.some(({ kind, text }) => kind === 'word' && text === word);
}

function isOpen(word: Word): boolean {
  return word.isOpen;
}

function found(reason: string): CodeFinding {
  return { reason, isSeenAtCall: false };
}
