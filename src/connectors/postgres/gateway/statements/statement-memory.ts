/**
 * What all connections keep of their statements: of those that are prepared, run, or wait. What is
 * known of one with a wide result takes a megabyte, a text can have hundreds, and nothing bounds the
 * number of connections. A statement for which there is no room is refused. As with
 * a buffer that the ports of a switch share, nobody gets more than is left for everyone else: one user
 * can have half of it. What a connection needs for everyday statements is there in any case.
 */
import { getHeapStatistics } from 'node:v8';
import { userOf } from '../../../../owner-turns.ts';
import type { AllowedStatement } from '../../policy/facts/types.ts';
import { partsOfStatement } from '../../policy/parse/kept-verdicts.ts';
import type { KnownStatement } from './known-statement.ts';

/** Of what V8 may have. The sizes below were measured, so what is counted is about what is taken. */
const SHARE_OF_HEAP = 1 / 4;
/** Of each connection, whatever others have, bytes. */
const FREE_BYTES = 256 * 1024;
/** Measured, bytes: a short statement, what is known of its result, what the target says of a column. */
const STATEMENT_BYTES = 2048;
const PART_BYTES = 224;
const COLUMN_BYTES = 160;

export class StatementMemory {
  readonly #shares = new Map<unknown, UserShare>();
  #left: number;

  constructor(bytes = getHeapStatistics().heap_size_limit * SHARE_OF_HEAP) {
    this.#left = bytes;
  }

  /** For one connection. @param owner whose it is: a session */
  account(owner: object): StatementAccount {
    const user = userOf(owner);
    const share = this.#shares.get(user) ?? new UserShare();
    this.#shares.set(user, share);
    share.accounts += 1;
    const take = (bytes: number): void => {
      this.#left -= bytes;
      share.bytes += bytes;
    };
    const leave = (): void => {
      share.accounts -= 1;
      if (share.accounts === 0) this.#shares.delete(user);
    };
    return new StatementAccount(share, { left: () => this.#left, take, leave });
  }
}

/** What the connections of one user have together. */
class UserShare {
  bytes = 0;
  accounts = 0;
  /** How many known statements rest on each verdict: the same text has one, however often it came. */
  readonly verdicts = new Map<AllowedStatement, number>();
}

interface Whole {
  readonly left: () => number;
  readonly take: (bytes: number) => void;
  readonly leave: () => void;
}

export interface NoRoom {
  /** What is kept already of the user. */
  readonly kept: number;
  readonly wanted: number;
}

export class StatementAccount {
  readonly #share: UserShare;
  readonly #whole: Whole;
  /** In how many places each is. */
  readonly #places = new Map<KnownStatement, number>();
  /** Of this connection alone. */
  #own = 0;
  /** With verdicts, whoever shares them. */
  #kept = 0;
  #deciding = 0;
  #isClosed = false;

  constructor(share: UserShare, whole: Whole) {
    this.#share = share;
    this.#whole = whole;
  }

  /**
   * Takes room for what has just been decided, until it is `sent`, or the next is decided: it may have
   * to wait for approval.
   * @param isPassing nothing else is in line, and no name will be left of it: DEALLOCATE, say
   */
  makeRoom(
    text: string,
    statements: readonly AllowedStatement[],
    isPassing: boolean,
  ): NoRoom | undefined {
    this.sent();
    const { verdicts, bytes: kept } = this.#share;
    const own = statements.reduce((sum, one) => sum + ownBytes('', one), text.length);
    const fresh = statements.filter((one) => !verdicts.has(one));
    const wanted = own + fresh.reduce((sum, one) => sum + verdictBytes(one), 0);
    const isFree = (isPassing ? 0 : this.#kept) + wanted <= FREE_BYTES;
    if (!isFree && kept + wanted > this.#whole.left()) return { kept, wanted };
    this.#deciding = wanted;
    this.take(wanted);
    return undefined;
  }

  /** What was decided last is in line, or prepared. */
  sent(): void {
    this.take(-this.#deciding);
    this.#deciding = 0;
  }

  /** It is in one place more. */
  add(statement: KnownStatement): void {
    if (this.#isClosed) return;
    const places = this.#places.get(statement) ?? 0;
    this.#places.set(statement, places + 1);
    if (places === 0) this.#count(statement, 1);
  }

  drop(statement: KnownStatement): void {
    const places = this.#places.get(statement) ?? 0;
    if (places > 1) this.#places.set(statement, places - 1);
    else if (this.#places.delete(statement)) this.#count(statement, -1);
  }

  /** Of anything else that is kept with statements; less than 0: given back. */
  take(bytes: number): void {
    if (this.#isClosed) return;
    this.#own += bytes;
    this.#kept += bytes;
    this.#whole.take(bytes);
  }

  /** The connection is over: nothing of it is kept. */
  close(): void {
    if (this.#isClosed) return;
    for (const statement of this.#places.keys()) this.#count(statement, -1);
    this.#places.clear();
    this.take(-this.#own);
    this.#isClosed = true;
    this.#whole.leave();
  }

  #count({ text, allowed }: KnownStatement, by: 1 | -1): void {
    this.take(by * ownBytes(text, allowed));
    if (allowed === undefined) return;
    const bytes = by * verdictBytes(allowed);
    this.#kept += bytes;
    const { verdicts } = this.#share;
    const before = verdicts.get(allowed) ?? 0;
    if (before + by > 0) verdicts.set(allowed, before + by);
    else verdicts.delete(allowed);
    if (before === 0 || before + by === 0) this.#whole.take(bytes);
  }
}

/** Bytes, about, that are kept of a statement where nothing is shared. */
export function statementBytes({
  text,
  allowed,
}: Pick<KnownStatement, 'text' | 'allowed'>): number {
  return ownBytes(text, allowed) + (allowed === undefined ? 0 : verdictBytes(allowed));
}

function ownBytes(text: string, allowed: AllowedStatement | undefined): number {
  return STATEMENT_BYTES + text.length + (allowed?.masks?.length ?? 0) * COLUMN_BYTES;
}

function verdictBytes({ analysis }: AllowedStatement): number {
  return partsOfStatement(analysis) * PART_BYTES;
}
