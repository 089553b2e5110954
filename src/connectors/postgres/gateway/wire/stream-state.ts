/** What the two directions of one stream share. */

import { isAscii } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { StreamAudit } from '../../../../gateway/audit/stream-audit.ts';
import { mayWriteBack } from '../../policy/verdict/evaluate-placeholders.ts';
import { encodeEmptyFrontend } from '../../protocol/empty-messages.ts';
import { BYTES, type TextCodec } from '../../protocol/text-codec.ts';
import type { CountedQuery } from '../counted/counted-query.ts';
import { lookupsOf } from '../counted/lookup-count.ts';
import { RowBudget } from '../counted/row-budget.ts';
import { RowTrials } from '../counted/row-trials.ts';
import { CopyGuard } from '../results/copy-guard.ts';
import { MaskNotices } from '../results/mask-notices.ts';
import { verdictsOf } from '../statements/confirmations.ts';
import {
  demandsOf,
  effectsOf,
  type KnownPortal,
  type KnownStatement,
  weightOf,
} from '../statements/known-statement.ts';
import { NameTable } from '../statements/name-table.ts';
import {
  type Entry,
  type ExecuteEntry,
  PendingQueue,
  type QueryEntry,
} from '../statements/pending-queue.ts';
import type { Run } from '../statements/run.ts';
import { ShadowSettings } from '../statements/shadow-settings.ts';
import type { StatementAccount } from '../statements/statement-memory.ts';
import type { TargetConnection } from '../target/target-connection.ts';
import type { PostgresStreamOptions } from '../types.ts';
import { Cancels } from './cancels.ts';
import { OutputBatch } from './output-batch.ts';
import type { ErrorResponseOptions } from './to-error-response.ts';

const FLUSH = encodeEmptyFrontend('Flush');
const SYNC = encodeEmptyFrontend('Sync');

/** Our own programs and psql; most libraries pass on the message of an error and nothing else. */
const SHOWS_ALL_FIELDS: ReadonlySet<string> = new Set(['psql', 'hoop mcp']);

export class StreamState {
  readonly options: PostgresStreamOptions;
  readonly target: TargetConnection;
  readonly audit: StreamAudit;
  readonly queue: PendingQueue;
  readonly memory: StatementAccount;
  readonly statements = new NameTable<KnownStatement>((name) => this.#serverName(name), {
    sizeOf: weightOf,
    added: (statement) => this.memory.add(statement),
    dropped: (statement) => this.memory.drop(statement),
  });
  readonly portals = new NameTable<KnownPortal>((name) => this.#serverName(name), {
    sizeOf: ({ statement, bound }) => weightOf(statement) + (bound?.bytes.length ?? 0),
    added: ({ statement, bound }) => {
      this.memory.add(statement);
      if (bound !== undefined) this.memory.take(bound.bytes.length);
    },
    dropped: ({ statement, bound }) => {
      this.memory.drop(statement);
      if (bound !== undefined) this.memory.take(-bound.bytes.length);
    },
  });
  /** Nobody else's, ever. */
  readonly id = randomUUID();
  readonly settings: ShadowSettings;
  readonly copy = new CopyGuard();
  readonly trials: RowTrials;
  readonly rowBudget: RowBudget;
  readonly notices: MaskNotices;
  readonly toTarget: OutputBatch;
  readonly toClient: OutputBatch;
  readonly cancels: Cancels;
  /** The stream is over; everything that waits gives up. */
  readonly ended: AbortController;
  segment = 0;
  /** What errors and notices at the end of the open transaction may show of its statements. */
  deferred = { values: false, userCode: false };
  /** Aborts when nobody waits for answers any more. */
  readonly left: AbortSignal;
  readonly inSegment = new SegmentCounts();
  /** Extended messages were sent since the last Sync or Query. */
  segmentIsOpen = false;
  /** An error is certain or known: what comes before the next Sync is dropped, as the target would. */
  skipping = false;
  /** When the client's last bytes were read, monotonic ms: no message arrived later. */
  receivedAt = Number.NEGATIVE_INFINITY;
  /** A result was withheld: what the target answers before the next ReadyForQuery is, too. */
  withholding = false;
  /** Offset of the message whose lookups were counted last. */
  lookupsCountedAt: number | undefined;
  /** The target may keep answers in its buffer until a Flush or Sync. */
  #unflushed = false;
  /** Sent, and with an effect on names or settings that is not confirmed yet. */
  readonly #disturbing = new Set<Entry>();

  constructor(parts: {
    readonly options: PostgresStreamOptions;
    readonly target: TargetConnection;
    readonly ended: AbortController;
  }) {
    this.options = parts.options;
    this.target = parts.target;
    this.audit = parts.options.audit;
    this.ended = parts.ended;
    const { clientLeft } = parts.options;
    const ended = parts.ended.signal;
    this.left = clientLeft === undefined ? ended : AbortSignal.any([ended, clientLeft]);
    this.memory = parts.options.statementMemory.account(parts.options.owner ?? this);
    this.queue = new PendingQueue(parts.ended.signal, this.memory);
    this.settings = new ShadowSettings(parts.target.parameters, (scope) =>
      parts.options.catalog.invalidate?.(scope),
    );
    this.trials = new RowTrials(this);
    this.rowBudget = new RowBudget(parts.options);
    this.notices = new MaskNotices(parts.options.grant().notices !== 'off');
    this.toTarget = new OutputBatch(parts.target.socket, parts.ended.signal, this.audit);
    this.toClient = new OutputBatch(parts.options.client, parts.ended.signal);
    this.cancels = new Cancels(this);
  }

  /** How errors are said. */
  get saying(): ErrorResponseOptions {
    const { wholeMessages } = this.options;
    const { applicationName } = this.settings;
    const isShown = wholeMessages === 'unless shown' && SHOWS_ALL_FIELDS.has(applicationName);
    return { codec: this.codec, isWhole: wholeMessages !== undefined && !isShown };
  }

  /** For names and texts. Under a passthrough grant nothing is read, and any bytes may pass. */
  get codec(): TextCodec {
    return this.options.grant().passthrough ? BYTES : this.settings.encoding.codec;
  }

  #serverName(name: string): string | undefined {
    const { encoding, parserDoubt } = this.settings;
    return serverName(name, {
      serverIsUtf8: this.target.parameters.get('server_encoding') === 'UTF8',
      isExact: encoding.isExact && parserDoubt === undefined,
    });
  }

  /** No transaction is open at the target, nor will what was sent open one: portals are gone. */
  get isIdle(): boolean {
    return !this.segmentIsOpen && this.settings.transaction === 'idle';
  }

  /** An effect on names or settings is under way. */
  get isDisturbed(): boolean {
    return this.#disturbing.size > 0;
  }

  /** Puts a message and what is expected in answer to it in line. */
  send(message: Uint8Array, entry: Entry, disturbs = false): void {
    const ends = entry.kind === 'sync' || entry.kind === 'query' || entry.kind === 'function-call';
    if (ends && this.trials.isOpen) throw new Error('rows that are not counted could be committed');
    this.toTarget.push(message);
    this.queue.push(entry);
    if (entry.origin === 'client' && (ends || entry.kind === 'parse')) this.memory.sent();
    if (disturbs) this.#disturbing.add(entry);
    this.cancels.sent(entry);
    if (ends) {
      // It may end an implicit transaction, and with it what SET LOCAL did.
      if (this.settings.placeMoved) this.#disturbing.add(entry);
      this.segment += 1;
      this.segmentIsOpen = false;
      this.inSegment.reset();
      this.#unflushed = false;
    } else {
      this.segmentIsOpen = true;
      this.#unflushed = true;
      if (entry.origin === 'client') this.inSegment.sent(entry);
    }
  }

  /**
   * A message that runs statements: notes at once what they may do, even if no answer comes.
   * @param isApproved what needs approval in it has just been approved.
   */
  sendRuns(
    message: Uint8Array,
    entry: QueryEntry | (ExecuteEntry & { readonly run: Run }),
    isApproved: boolean,
  ): void {
    let disturbs = false;
    let mayReadCopy = false;
    for (const run of entry.kind === 'query' ? entry.runs : [entry.run]) {
      const { statement } = run;
      const { allowed } = statement;
      const isQuery = entry.kind === 'query' || entry.counted?.query !== undefined;
      if (!isApproved && demandsOf(allowed, isQuery).length > 0) {
        throw new Error('a statement that needs approval was about to run without');
      }
      const looksUp = lookupsOf(allowed, isQuery).length > 0;
      if (looksUp && !run.portal?.lookupsAreCounted && this.lookupsCountedAt !== run.at) {
        throw new Error('a statement was about to look up values that nobody has counted');
      }
      if (allowed !== undefined) this.notices.sent(allowed);
      if (allowed?.redactErrors) {
        const userCode = this.deferred.userCode || allowed.analysis.protocol.runsUserCode;
        this.deferred = { values: true, userCode };
      }
      for (const { effect } of effectsOf(statement)) {
        disturbs ||= this.settings.disturbs(effect);
        this.settings.sent(effect, entry.segment);
      }
      // Nothing is known of an opaque text, but COPY cannot be spelt in another way.
      mayReadCopy ||=
        allowed?.analysis.protocol.copy?.direction === 'in' ||
        (statement.basis === undefined && /copy/i.test(statement.text));
    }
    this.send(message, entry, disturbs);
    if (mayReadCopy) {
      const grant = this.options.grant();
      const isSearched = verdictsOf(entry).some(({ analysis }) => mayWriteBack(analysis, grant));
      this.copy.expect(entry, isSearched);
    }
  }

  /** @param completes the Query of the client that it is the end of. */
  sendSync(
    message: Uint8Array = SYNC,
    origin: 'client' | 'own' = 'client',
    completes?: CountedQuery,
  ): void {
    this.skipping = false;
    this.send(message, { kind: 'sync', origin, segment: this.segment, completes });
  }

  /** The client's own Flush. */
  sendFlush(message: Uint8Array): void {
    this.toTarget.push(message);
    this.#unflushed = false;
  }

  /** After copy data: the answer to the COPY may stay in the target's buffer. */
  sendData(bytes: Uint8Array): void {
    this.toTarget.push(bytes);
    this.#unflushed = true;
  }

  settled(entry: Entry): void {
    this.#disturbing.delete(entry);
    this.copy.resolved(entry);
  }

  /**
   * Lets the target answer what it has: sends everything that is in line and, where answers may be
   * kept back, a Flush of the gateway's own. Without it both sides would wait for ever.
   */
  async release(): Promise<void> {
    if (this.#unflushed && this.queue.length > 0 && !this.skipping) {
      this.toTarget.push(FLUSH);
      this.#unflushed = false;
    }
    await this.toTarget.flush();
  }

  /** As `release`, for callers that cannot wait: these are a few bytes. */
  releaseSoon(): void {
    this.release().catch((error: unknown) => this.ended.abort(error));
  }

  /** So many statements more. @returns how long to wait before the next, milliseconds; mostly 0 */
  paceMs(statements: number): number {
    const { pace, grant } = this.options;
    const { statementsPerSecond } = grant().limits;
    return pace?.spend(statements, statementsPerSecond, performance.now()) ?? 0;
  }

  /** Until the stream has ended at most; answers to what came before go on. */
  async pause(waitMs: number): Promise<void> {
    await this.release();
    await delay(waitMs, undefined, { signal: this.ended.signal }).catch(() => undefined);
  }

  /**
   * Lets the target answer what it has run, although the client has an error by now: of a result
   * that was withheld the end is still to come.
   */
  flushAnswers(): void {
    if (!this.#unflushed || this.queue.length === 0) return;
    this.toTarget.push(FLUSH);
    this.#unflushed = false;
  }

  /** Waits until `isDone`, which the target's answers bring about. */
  async waitForTarget(isDone: () => boolean): Promise<void> {
    if (isDone()) return;
    await this.release();
    await this.queue.wait(isDone);
  }
}

/** Of the client since the last Sync or Query: Bind, Parse and Close behind a Bind, Execute. */
class SegmentCounts {
  binds = 0;
  renames = 0;
  runs = 0;

  sent({ kind }: Pick<Entry, 'kind'>): void {
    if (kind === 'bind') this.binds += 1;
    if ((kind === 'parse' || kind === 'close') && this.binds > 0) this.renames += 1;
    if (kind === 'execute') this.runs += 1;
  }

  reset(): void {
    this.binds = 0;
    this.renames = 0;
    this.runs = 0;
  }
}

// What the server makes of the name of a prepared statement or portal. It keeps 63 bytes, in its
// own encoding, and two names that agree in them are one: without this a statement could be closed
// and made anew under `aaa…2`, and still be checked as the one of before under `aaa…1`.

/** NAMEDATALEN - 1, bytes: prepared statements and portals are kept in hash tables of such keys. */
const MAX_BYTES = 63;
/** The parser cuts a name of SQL between characters: in another encoding not where the server does. */
const MAX_CLIPPED = MAX_BYTES - 4;

/** What nearly every client sends, of fewer bytes than MAX_CLIPPED. */
const PLAIN = /^[\x20-\x7e]{0,58}$/;

/** How sure it is that the server has the same characters of a name as we do. */
interface NameReading {
  /** Names are cut as we cut them. */
  readonly serverIsUtf8: boolean;
  /** Both sides convert characters beyond ASCII in the same way. */
  readonly isExact: boolean;
}

/** @returns undefined: it cannot be known. */
function serverName(name: string, reading: NameReading): string | undefined {
  if (PLAIN.test(name)) return name;
  const cut = cutToBytes(name);
  if (isAscii(Buffer.from(cut))) {
    return reading.serverIsUtf8 || cut.length < MAX_CLIPPED ? cut : undefined;
  }
  return reading.serverIsUtf8 && reading.isExact ? cut : undefined;
}

/** As strlcpy() does, in the middle of a character too; what is left of one is kept apart. */
function cutToBytes(name: string): string {
  // No character has fewer bytes than UTF-16 units, and none more than three for each.
  if (name.length * 3 <= MAX_BYTES) return name;
  // What is behind them is not looked at, however long the name is.
  const bytes = Buffer.from(name.slice(0, MAX_BYTES + 1));
  if (bytes.length <= MAX_BYTES) return name;
  let end = MAX_BYTES;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  const rest = [...bytes.subarray(end, MAX_BYTES)];
  const whole = bytes.subarray(0, end).toString();
  return whole + String.fromCharCode(...rest.map((byte) => 0xdc00 + byte));
}
