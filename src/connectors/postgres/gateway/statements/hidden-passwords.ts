/**
 * The text of a statement for the eyes of others: passwords in it are replaced. It is read with the
 * rules of PostgreSQL's scanner, and not parsed: texts inside of strings are read in the same way.
 */
import { redactedText } from '../../../../masking/redacted-text.ts';
import { type SqlToken, sqlTokens, textInside } from '../../policy/walk/sql-tokens.ts';

const HIDDEN = '****';

/** What libpq reads: `host=db password='se cret'`. */
const IN_CONNECTION_STRING =
  /\b((?:ssl)?password|passwd)(\s*=\s*)('(?:[^'\\]|\\[\s\S])*'|[^\s'"&;,)]+)/gi;
/** Of a command that is put together from pieces: the password is in a later one. */
const PIECE_OF_COMMAND = [/\b(?:role|user)\b/i, /\bpassword\b/i];

/** The next string is hidden after one of these. */
const HIDES: ReadonlySet<string> = new Set(['password', 'connection', HIDDEN]);
const ROLE: ReadonlySet<string> = new Set(['role', 'user', 'group']);
const CHANGING: ReadonlySet<string> = new Set(['create', 'alter']);

/** @returns what a parser says of a text, without the part of it that it names */
export function withoutPlace(message: string, text: string): string {
  return hidePasswords(text) === text ? message : message.replace(/ at or near "[\s\S]*$/, '');
}

export function hidePasswords(text: string): string {
  // Nearly every text: it costs one look.
  if (!/password|passwd|connection|mapping|:\/\//i.test(text)) return text;
  const hiding = new Hiding();
  return sqlTokens(text)
    .map((token) => hiding.shown(token))
    .join('');
}

class Hiding {
  /** The word before, in lower case. */
  #before = '';
  /** CREATE or ALTER of a role, in which PASSWORD is followed by one. */
  #isRole = false;
  /** It has no quotes, which is a mistake: no end of it is known. */
  #isBare = false;
  /** Every string up to the end of the statement is hidden. */
  #isSecret = false;

  shown(token: SqlToken): string {
    const { kind, text } = token;
    if (this.#isBare && text !== ';') return '';
    switch (kind) {
      case 'space':
        return text;
      case 'comment':
        return hiddenInside(text, false);
      case 'string':
      case 'dollar':
        return this.#string(token);
      case 'name':
      case 'word':
      case 'other':
        return this.#word(text);
    }
  }

  #word(text: string): string {
    const word = text.toLowerCase();
    this.#isBare = this.#isRole && this.#before === 'password' && word !== 'null' && word !== ';';
    this.#note(word);
    return this.#isBare ? HIDDEN : text;
  }

  #note(word: string): void {
    // Each option of CREATE and ALTER USER MAPPING can be a credential.
    if (word === 'mapping' && this.#before === 'user') this.#isSecret = true;
    if (ROLE.has(word) && CHANGING.has(this.#before)) this.#isRole = true;
    if (word === ';') this.#isSecret = this.#isRole = false;
    this.#before = word;
  }

  #string(token: SqlToken): string {
    const isHidden = this.#isSecret || HIDES.has(this.#before);
    // What is hidden goes on in the next string, if that is on another line.
    if (isHidden) {
      this.#before = HIDDEN;
      return `'${HIDDEN}'`;
    }
    this.#before = '';
    const { kind, text } = token;
    const said = textInside(token);
    const hidden = hiddenInside(said);
    this.#isSecret ||= kind === 'string' && PIECE_OF_COMMAND.every((part) => part.test(said));
    if (hidden === said) return text;
    if (kind === 'string') {
      return `${text.slice(0, text.indexOf("'"))}'${hidden.replaceAll("'", "''")}'`;
    }
    const mark = text.slice(0, text.indexOf('$', 1) + 1);
    return `${mark}${hidden}${mark}`;
  }
}

/** @param isSql a comment is none: it would be read as one again */
function hiddenInside(text: string, isSql = true): string {
  const plain = redactedText(text, ['url-password']).replace(
    IN_CONNECTION_STRING,
    (_all, name: string, equals: string) => `${name}${equals}${HIDDEN}`,
  );
  return isSql ? hidePasswords(plain) : plain;
}
