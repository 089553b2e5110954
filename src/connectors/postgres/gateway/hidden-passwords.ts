/**
 * The text of a statement for the eyes of others: passwords in it are replaced. It is read with the
 * rules of PostgreSQL's scanner, and not parsed: texts inside of strings are read in the same way.
 */
import { redactedText } from '../../../masking/redacted-text.ts';
import { type SqlToken, sqlTokens, textInside } from '../policy/sql-tokens.ts';

const HIDDEN = '****';

/** What libpq reads: `host=db password='se cret'`. */
const IN_CONNECTION_STRING =
  /\b((?:ssl)?password|passwd)(\s*=\s*)('(?:[^'\\]|\\[\s\S])*'|[^\s'"&;,)]+)/gi;
/** Of a command that is put together from pieces: the password is in a later one. */
const PIECE_OF_COMMAND = [/\b(?:role|user)\b/i, /\bpassword\b/i];

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
  /** Every string up to the end of the statement is hidden. */
  #isSecret = false;

  shown(token: SqlToken): string {
    const { kind, text } = token;
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
        this.#note(text.toLowerCase());
        return text;
    }
  }

  #note(word: string): void {
    // Each option of CREATE and ALTER USER MAPPING can be a credential.
    if (word === 'mapping' && this.#before === 'user') this.#isSecret = true;
    if (word === ';') this.#isSecret = false;
    this.#before = word;
  }

  #string(token: SqlToken): string {
    const isHidden = this.#isSecret || this.#before === 'password' || this.#before === 'connection';
    // What is hidden goes on in the next string, if that is on another line.
    if (isHidden) return `'${HIDDEN}'`;
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
