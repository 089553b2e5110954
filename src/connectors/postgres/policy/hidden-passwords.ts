/**
 * The text of a statement for the eyes of others: passwords in it are replaced. It is read with the
 * rules of PostgreSQL's scanner, and not parsed: texts inside of strings are read in the same way.
 */
import { redactedText } from '../../../masking/redacted-text.ts';

const HIDDEN = '****';

/** One token; the last kind is any other character. */
const TOKEN =
  /(?<space>\s+|--[^\n]*)|(?<string>(?:[eE]'(?:[^'\\]|\\[\s\S]|'')*'|(?:[uU]&|[nNbBxX])?'(?:[^']|'')*'))|(?<dollar>\$(?<tag>(?:[\p{L}_][\p{L}\p{N}_]*)?)\$[\s\S]*?\$\k<tag>\$)|(?<word>[\p{L}_][\p{L}\p{N}_$]*|"(?:[^"]|"")*")|[\s\S]/uy;
/** What libpq reads: `host=db password='se cret'`. */
const IN_CONNECTION_STRING =
  /\b((?:ssl)?password|passwd)(\s*=\s*)('(?:[^'\\]|\\[\s\S])*'|[^\s'"&;,)]+)/gi;
/** Of a command that is put together from pieces: the password is in a later one. */
const PIECE_OF_COMMAND = [/\b(?:role|user)\b/i, /\bpassword\b/i];

export function hidePasswords(text: string): string {
  // Nearly every text: it costs one look.
  return /password|passwd|connection|mapping|:\/\//i.test(text) ? new Hiding(text).hidden() : text;
}

class Hiding {
  readonly #text: string;
  /** The word before, in lower case. */
  #before = '';
  /** Every string up to the end of the statement is hidden. */
  #isSecret = false;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  hidden(): string {
    let shown = '';
    while (this.#at < this.#text.length) shown += this.#next();
    return shown;
  }

  #next(): string {
    if (this.#text.startsWith('/*', this.#at)) return this.#comment();
    TOKEN.lastIndex = this.#at;
    const found = TOKEN.exec(this.#text);
    const [token] = found ?? [this.#text.slice(this.#at)];
    this.#at += token.length;
    const { space, string, dollar, tag = '', word } = found?.groups ?? {};
    if (space !== undefined) return token;
    if (word !== undefined) {
      const now = word.toLowerCase();
      // Each option of CREATE and ALTER USER MAPPING can be a credential.
      if (now === 'mapping' && this.#before === 'user') this.#isSecret = true;
      this.#before = now;
      return token;
    }
    if (string !== undefined) return this.#string(token, string.indexOf("'"));
    if (dollar !== undefined) return this.#dollar(token, tag);
    if (token === ';') this.#isSecret = false;
    this.#before = token;
    return token;
  }

  #string(token: string, quote: number): string {
    // What is hidden goes on in the next string, if that is on another line.
    if (this.#hides) return `'${HIDDEN}'`;
    this.#before = '';
    const said = token.slice(quote + 1, -1).replaceAll("''", "'");
    this.#isSecret ||= PIECE_OF_COMMAND.every((part) => part.test(said));
    const hidden = hiddenInside(said);
    return hidden === said ? token : `${token.slice(0, quote)}'${hidden.replaceAll("'", "''")}'`;
  }

  #dollar(token: string, tag: string): string {
    if (this.#hides) return `'${HIDDEN}'`;
    this.#before = '';
    const mark = `$${tag}$`;
    return `${mark}${hiddenInside(token.slice(mark.length, -mark.length))}${mark}`;
  }

  get #hides(): boolean {
    return this.#isSecret || this.#before === 'password' || this.#before === 'connection';
  }

  /** Comments nest. */
  #comment(): string {
    const start = this.#at;
    let depth = 0;
    do {
      const [mark = ''] = /\/\*|\*\//.exec(this.#text.slice(this.#at)) ?? [];
      const found = mark === '' ? -1 : this.#text.indexOf(mark, this.#at);
      if (found === -1) {
        this.#at = this.#text.length;
        break;
      }
      depth += mark === '/*' ? 1 : -1;
      this.#at = found + 2;
    } while (depth > 0);
    return hiddenInside(this.#text.slice(start, this.#at), false);
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
