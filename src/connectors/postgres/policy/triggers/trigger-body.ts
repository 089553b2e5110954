/**
 * What a PL/pgSQL trigger function does: assignments to fields of NEW and of records that are copies
 * of it, IF, RETURN, RAISE, PERFORM, and INSERT as audit tables have it (trigger-insert.ts). A text
 * with anything else in it is not understood.
 *
 * The parser's own reading of PL/pgSQL (parsePlPgSQL) leaves out what records are declared with, so
 * the few statements are read here, from the tokens of the scanner that both languages share.
 */
import type { ScanToken } from 'libpg-query';
import { as, type Node } from '../parse/tree.ts';
import { readTriggerInsert, type TriggerInsert } from './trigger-insert.ts';

export type TriggerStep =
  | {
      readonly kind: 'assign';
      readonly record: string;
      readonly column: string;
      readonly value: Node;
    }
  | { readonly kind: 'copy'; readonly to: string; readonly from: string }
  | { readonly kind: 'if'; readonly branches: readonly TriggerBranch[] }
  /** RAISE, PERFORM: values that are computed and change nothing of the row. */
  | { readonly kind: 'tell'; readonly values: readonly Node[] }
  | TriggerInsert
  /** One of these records; none: NULL, and the row stays as it was. */
  | { readonly kind: 'return'; readonly records: readonly string[] };

export interface TriggerBranch {
  /** undefined: ELSE. */
  readonly condition: Node | undefined;
  readonly steps: readonly TriggerStep[];
}

export interface TriggerBody {
  /** Records that it declares. */
  readonly records: readonly string[];
  readonly steps: readonly TriggerStep[];
}

/** What a trigger does with its row. */
export interface TriggerEffect {
  readonly body: TriggerBody;
  /** Its WHEN, with names as the catalog's reader has them. */
  readonly when?: Node;
}

/** Both give undefined for what is no SQL. */
export interface TriggerParser {
  readonly scan: (text: string) => readonly ScanToken[] | undefined;
  readonly parse: (sql: string) => unknown;
}

/** IF in IF; the analysis recurses. */
const MAX_LEVELS = 32;
/** Words with which statements begin or end: no record is called so. */
const WORDS: ReadonlySet<string> = new Set([
  ...['begin', 'declare', 'else', 'elseif', 'elsif', 'end', 'found', 'if', 'insert'],
  ...['new', 'null', 'old', 'perform', 'raise', 'record', 'return', 'then'],
]);
const WORD = /^[a-z_][a-z0-9_$]*$/i;
/** Of RAISE, before the values: words and strings. */
const WORD_OR_STRING = /^[\p{L}_'"$]/u;
const QUOTED = /^"(?:[^"]|"")+"$/;

class NotUnderstood extends Error {}

/** @returns undefined: not understood */
export function readTriggerBody(source: string, parser: TriggerParser): TriggerBody | undefined {
  // With standard_conforming_strings off a string does not end there.
  if (source.includes("\\'")) return undefined;
  try {
    return new BodyReader(source, parser).body();
  } catch (error) {
    if (error instanceof NotUnderstood) return undefined;
    throw error;
  }
}

class BodyReader {
  readonly #bytes: Buffer;
  readonly #parse: TriggerParser['parse'];
  readonly #tokens: readonly ScanToken[];
  readonly #records = new Set(['new', 'old']);
  #at = 0;
  #level = 0;

  constructor(source: string, { scan, parse }: TriggerParser) {
    this.#bytes = Buffer.from(source);
    this.#parse = parse;
    this.#tokens = (scan(source) ?? []).filter(({ text }) => !/^(?:--|\/\*)/.test(text));
  }

  body(): TriggerBody {
    const declared: string[] = [];
    if (this.#takes('declare')) {
      while (!this.#takes('begin')) declared.push(this.#declared());
    } else {
      this.#expect('begin');
    }
    const steps = this.#steps();
    this.#expect('end');
    this.#takes(';');
    if (this.#at < this.#tokens.length) throw new NotUnderstood();
    return { records: declared, steps };
  }

  /** `name record;`: with a default, or a type, it would hold more than is copied to it. */
  #declared(): string {
    const name = this.#word;
    const isTaken = WORDS.has(name) || this.#records.has(name) || name.startsWith('tg_');
    if (name === '' || isTaken) throw new NotUnderstood();
    this.#at += 1;
    this.#expect('record');
    this.#expect(';');
    this.#records.add(name);
    return name;
  }

  #steps(): TriggerStep[] {
    const steps: TriggerStep[] = [];
    for (;;) {
      if (['else', 'elseif', 'elsif', 'end', ''].includes(this.#word)) return steps;
      if (this.#takes('if')) steps.push(this.#branches());
      else if (this.#takes('return')) steps.push(this.#returned());
      else if (this.#takes('raise')) steps.push(this.#raised());
      else if (this.#takes('perform')) steps.push(this.#performed());
      else if (this.#word === 'insert') steps.push(this.#inserted());
      else if (this.#takes('null')) this.#expect(';');
      else steps.push(this.#assigned());
    }
  }

  #performed(): TriggerStep {
    const values = [this.#expression(';')];
    this.#expect(';');
    return { kind: 'tell', values };
  }

  #inserted(): TriggerStep {
    const insert = readTriggerInsert(this.#statement(this.#textUntil([';'])));
    this.#expect(';');
    if (insert === undefined) throw new NotUnderstood();
    return insert;
  }

  /** RAISE level 'format', value, … USING option = value, …; */
  #raised(): TriggerStep {
    const values: Node[] = [];
    while (WORD_OR_STRING.test(this.#text) && this.#word !== 'using') this.#at += 1;
    while (this.#takes(',')) values.push(this.#expression(',', 'using', ';'));
    if (this.#takes('using')) {
      do {
        this.#column();
        this.#assignment();
        values.push(this.#expression(',', ';'));
      } while (this.#takes(','));
    }
    this.#expect(';');
    return { kind: 'tell', values };
  }

  #branches(): TriggerStep {
    this.#level += 1;
    if (this.#level > MAX_LEVELS) throw new NotUnderstood();
    const branches: TriggerBranch[] = [];
    do {
      const condition = this.#expression('then');
      this.#expect('then');
      branches.push({ condition, steps: this.#steps() });
    } while (this.#takes('elsif') || this.#takes('elseif'));
    if (this.#takes('else')) branches.push({ condition: undefined, steps: this.#steps() });
    this.#expect('end');
    this.#expect('if');
    this.#expect(';');
    this.#level -= 1;
    return { kind: 'if', branches };
  }

  #returned(): TriggerStep {
    const records: string[] = [];
    if (this.#takes('coalesce')) {
      this.#expect('(');
      do records.push(this.#record());
      while (this.#takes(','));
      this.#expect(')');
    } else if (!this.#takes('null')) {
      records.push(this.#record());
    }
    this.#expect(';');
    return { kind: 'return', records };
  }

  #assigned(): TriggerStep {
    const record = this.#record();
    if (!this.#takes('.')) {
      this.#assignment();
      const from = this.#record();
      this.#expect(';');
      return { kind: 'copy', to: record, from };
    }
    const column = this.#column();
    this.#assignment();
    const value = this.#expression(';');
    this.#expect(';');
    return { kind: 'assign', record, column, value };
  }

  #assignment(): void {
    if (!this.#takes(':=')) this.#expect('=');
  }

  #record(): string {
    const name = this.#word;
    if (!this.#records.has(name)) throw new NotUnderstood();
    this.#at += 1;
    return name;
  }

  #column(): string {
    const text = this.#text;
    this.#at += 1;
    if (WORD.test(text)) return text.toLowerCase();
    if (!QUOTED.test(text)) throw new NotUnderstood();
    return text.slice(1, -1).replaceAll('""', '"');
  }

  /** As PL/pgSQL does it: what stands before the first such word or sign outside of brackets. */
  #expression(...ends: readonly string[]): Node {
    return this.#parsed(this.#textUntil(ends));
  }

  #textUntil(ends: readonly string[]): string {
    const from = this.#tokens[this.#at]?.start ?? 0;
    const to = this.#until(ends);
    return this.#bytes.toString('utf8', from, to);
  }

  /** @returns where it begins. */
  #until(ends: readonly string[]): number {
    for (let depth = 0; this.#at < this.#tokens.length; this.#at += 1) {
      const text = this.#text.toLowerCase();
      if (depth === 0 && ends.includes(text)) return this.#tokens[this.#at]?.start ?? 0;
      if (depth === 0 && text === ';') break;
      if (text === '(' || text === '[') depth += 1;
      if (text === ')' || text === ']') depth -= 1;
    }
    throw new NotUnderstood();
  }

  /** In PL/pgSQL an expression is a SELECT without that word: it may have a FROM. */
  #parsed(text: string): Node {
    const select = as(this.#statement(`SELECT ${text}`), 'SelectStmt');
    const { targetList = [], limitOption, op, ...others } = select ?? {};
    const [target, ...further] = targetList;
    const { val, location, ...named } = as(target, 'ResTarget') ?? {};
    const isMore = [...further, ...Object.keys({ ...others, ...named })].length > 0;
    const isPlain = limitOption === 'LIMIT_OPTION_DEFAULT' && op === 'SETOP_NONE';
    if (val === undefined || location === undefined || isMore || !isPlain) {
      throw new NotUnderstood();
    }
    return val;
  }

  /** The only one of the text. */
  #statement(text: string): Node | undefined {
    const tree = this.#parse(text);
    const stmts: unknown =
      typeof tree === 'object' && tree !== null && 'stmts' in tree ? tree.stmts : undefined;
    const [first, ...more] = Array.isArray(stmts) ? stmts : [];
    if (more.length > 0) throw new NotUnderstood();
    return first?.stmt;
  }

  /** The next token where it is a word that is not quoted; '' otherwise. */
  get #word(): string {
    return WORD.test(this.#text) ? this.#text.toLowerCase() : '';
  }

  get #text(): string {
    return this.#tokens[this.#at]?.text ?? '';
  }

  #takes(text: string): boolean {
    if (this.#text.toLowerCase() !== text) return false;
    this.#at += 1;
    return true;
  }

  #expect(text: string): void {
    if (!this.#takes(text)) throw new NotUnderstood();
  }
}
