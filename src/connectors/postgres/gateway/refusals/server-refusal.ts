/**
 * A server's refusal of a login, and what of it the client may read. Where it speaks of the session
 * (an unknown parameter, no such database, too many connections) client and driver need the
 * server's own words. Where it speaks of the credential they are for the gateway's log alone.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { TargetRefusal } from '../../../../gateway/base/log.ts';
import { plainText } from '../../../../gateway/base/plain-text.ts';
import { SQL_STATE } from '../../sql-state.ts';

export interface ServerWords {
  readonly message: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
}

interface ServerRefusalOptions {
  /** Fields of the ErrorResponse, a character for each byte. */
  readonly fields: ReadonlyMap<string, string>;
  readonly stage: LoginStage;
  /** What the client must not read: the credential's user, names of hosts. */
  readonly hidden: readonly string[];
  /** What nobody must read, not even in the log: an odd server may repeat it. */
  readonly password: string | undefined;
  /** Names and values that the client itself has sent. */
  readonly sent: readonly string[];
}

/** `start`: the server has asked for nothing; `asked`: for the credential; `accepted`: it has it. */
export type LoginStage = 'start' | 'asked' | 'accepted';

/**
 * Classes of errors that are not about authentication, whenever they come: 0A unsupported, 22 a
 * value, 3D the database, 42 a name or a right, 53 resources, 55 a state, 57 an operator.
 * https://www.postgresql.org/docs/18/errcodes-appendix.html
 */
const ABOUT_THE_SESSION = /^(?:0A|22|3D|42|53|55|57)/;
/** 08: a pooler passes on in it what a server said to the credential. 28: authorization. */
const ABOUT_THE_CREDENTIAL = /^(?:08|28)/;
/** What PgBouncer itself says of the session, all with 08P01, and without quotation marks. */
const POOLERS = [
  /^unsupported startup parameter(?: in options)?: (?<sent>\S+)$/,
  /^no such database: (?<sent>\S+)$/,
  /^no more connections allowed \(max_client_conn\)$/,
];
const MAX_TEXT = 1000;

export class ServerRefusal extends TargetRefusal {
  /** `unknown`: it was none. */
  readonly sqlState: string;
  readonly stage: LoginStage;
  /** Whether the client may know `sqlState`. */
  readonly isForClient: boolean;
  /** For the client; undefined: the server's words name what it must not know. */
  readonly words: ServerWords | undefined;

  constructor({ fields, stage, hidden, password, sent }: ServerRefusalOptions) {
    const code = fields.get('C') ?? '';
    // What is no SQLSTATE could be anything, also a terminal's control sequence.
    const sqlState = /^[0-9A-Z]{5}$/.test(code) ? code : 'unknown';
    const words = wordsOf(fields);
    const isPoolers = sqlState === SQL_STATE.protocolViolation && isOfPooler(words, sent);
    const isForClient =
      isPoolers ||
      (sqlState !== 'unknown' &&
        (stage === 'accepted'
          ? !ABOUT_THE_CREDENTIAL.test(sqlState)
          : ABOUT_THE_SESSION.test(sqlState)));
    const isSecret = password !== undefined && password !== '' && textOf(words).includes(password);
    const namesNone = isPoolers || !namesAny(words, hidden, sent);
    const isTold = isForClient && words.message !== '' && !isSecret && namesNone;
    // What the client reads holds its own values: no matter for a log.
    const said = isTold || isSecret || words.message === '' ? '' : `: ${textOf(words)}`;
    super(`the server refused the login with SQLSTATE ${sqlState}${said}`);
    this.name = 'ServerRefusal';
    this.sqlState = sqlState;
    this.stage = stage;
    this.isForClient = isForClient;
    this.words = isTold ? words : undefined;
  }
}

function wordsOf(fields: ReadonlyMap<string, string>): ServerWords {
  const text = (field: string): string =>
    // A server speaks UTF-8, if not ASCII, until it knows client_encoding.
    plainText(Buffer.from(fields.get(field) ?? '', 'latin1').toString(), MAX_TEXT);
  return { message: text('M'), detail: text('D') || undefined, hint: text('H') || undefined };
}

function textOf({ message, detail, hint }: ServerWords): string {
  return [message, detail, hint].filter(Boolean).join('; ');
}

/** Names nothing but what the client has sent: it learns no other name, whatever it tries. */
function isOfPooler({ message, detail, hint }: ServerWords, sent: readonly string[]): boolean {
  const found = POOLERS.map((words) => words.exec(message)).find((one) => one !== null);
  if (found === undefined || detail !== undefined || hint !== undefined) return false;
  const name = found.groups?.['sent'];
  return name === undefined || sent.includes(name);
}

/**
 * What the client sent may be shown whatever it is: otherwise it could try names and see from the
 * missing text which one is the credential's. Only where it stands in quotation marks as a whole,
 * or a client could send parts of what is hidden.
 */
function namesAny(words: ServerWords, hidden: readonly string[], sent: readonly string[]): boolean {
  let text = textOf(words).toLowerCase();
  for (const word of sent) text = text.replaceAll(`"${word.toLowerCase()}"`, '""');
  if (hidden.some((name) => name !== '' && text.includes(name.toLowerCase()))) {
    return true;
  }
  return text.split(/[^0-9a-f:.]+/).some((part) => {
    const address = part.replace(/^\.+|[.]+$/g, '');
    return isIPv4(address) || (address.length > 2 && isIPv6(address));
  });
}
