/**
 * What comes from the client: each message is understood, decided where it must be, and put in
 * line for the target, or something that the target refuses is put in its place. One message at a
 * time; while one waits for a verdict or for the target, those behind it wait in the socket.
 */
import { ProtocolError } from '../../../../errors.ts';
import { after } from '../../../../soon.ts';
import { decodeEmpty } from '../../protocol/empty-messages.ts';
import {
  decodeClose,
  decodeDescribe,
  decodeParse,
  decodeQuery,
  encodeQuery,
} from '../../protocol/frontend-messages.ts';
import { MalformedMessage, UndecodableText } from '../../protocol/malformed-message.ts';
import type { Handling, ScannedItem } from '../../protocol/message-scanner.ts';
import { FRONTEND, frontendName } from '../../protocol/message-types.ts';
import { Holds } from '../approvals/holds.ts';
import { tellOpaque } from '../audit/statement-audit.ts';
import { CountedQueries } from '../counted/counted-queries.ts';
import { Lookups } from '../counted/lookups.ts';
import { isAnyLimited } from '../counted/row-counts.ts';
import { type Denial, deniedParse, deniedQuery } from '../refusals/denial.ts';
import { Refusals } from '../refusals/refusals.ts';
import { confirmCopies } from '../results/copy-confirmer.ts';
import { CopyIn } from '../results/copy-in.ts';
import { needsReading } from '../results/copy-out.ts';
import { type Allowed, type Decided, Decider } from '../statements/decide.ts';
import { PortalSide } from '../statements/portal-side.ts';
import { type InTurn, QueryDecisions } from '../statements/query-decisions.ts';
import { QuerySequences } from '../statements/query-sequences.ts';
import { type Run, startRun } from '../statements/run.ts';
import { type CheckedText, checkText, knownStatements } from '../statements/statement-text.ts';
import type { ChunkReader } from './chunk-reader.ts';
import { LargeMessages, mustPass } from './large-messages.ts';
import { MisplacedMessages } from './misplaced-messages.ts';
import { PassingMessages } from './passing-messages.ts';
import type { StreamState } from './stream-state.ts';

const HEADER_LENGTH = 5;
const NO_TYPES: readonly number[] = [];
/** What each is one statement to the limit of statements in a second. */
const STATEMENTS: ReadonlySet<number> = new Set([
  FRONTEND.Query,
  FRONTEND.Parse,
  FRONTEND.Execute,
  FRONTEND.FunctionCall,
]);
/** These take no place in line; what is in line may wait for the data of its COPY. */
const UNANSWERED: ReadonlySet<number> = new Set([
  FRONTEND.CopyData,
  FRONTEND.CopyDone,
  FRONTEND.CopyFail,
  FRONTEND.Flush,
  FRONTEND.Terminate,
]);
/** Everything else may end a transaction. */
const CANNOT_COMMIT: ReadonlySet<number> = new Set([
  FRONTEND.Parse,
  FRONTEND.Bind,
  FRONTEND.Describe,
  FRONTEND.Execute,
  FRONTEND.Close,
  FRONTEND.Flush,
]);

export class ClientSide {
  readonly #state: StreamState;
  readonly #decider: Decider;
  readonly #refusals: Refusals;
  readonly #decisions: QueryDecisions;
  readonly #portals: PortalSide;
  readonly #passing = new PassingMessages();
  readonly #copyIn: CopyIn;
  readonly #misplaced: MisplacedMessages;
  readonly #large: LargeMessages;
  readonly #counted: CountedQueries;
  readonly #sequences: QuerySequences;
  /** Bytes of the up stream before the message in hand. */
  #at: number;

  /** @param source `at`: bytes of the up stream that came before the first message. */
  constructor(state: StreamState, source: { readonly reader: ChunkReader; readonly at: number }) {
    this.#state = state;
    this.#at = source.at;
    this.#decider = new Decider(state);
    this.#refusals = new Refusals(state);
    this.#copyIn = new CopyIn(state, this.#refusals);
    const holds = new Holds(state, source.reader);
    const lookups = new Lookups(state);
    this.#decisions = new QueryDecisions(state, { decider: this.#decider, holds, lookups });
    this.#portals = new PortalSide({
      state,
      decider: this.#decider,
      refusals: this.#refusals,
      holds,
      lookups,
    });
    this.#misplaced = new MisplacedMessages(state, this.#refusals);
    state.trials.reader = source.reader;
    this.#counted = new CountedQueries(state, {
      decider: this.#decider,
      refusals: this.#refusals,
      holds,
    });
    this.#sequences = new QuerySequences(state, {
      decisions: this.#decisions,
      refusals: this.#refusals,
    });
    this.#large = new LargeMessages(state, {
      portals: this.#portals,
      refusals: this.#refusals,
      misplaced: this.#misplaced,
    });
  }

  /** For the scanner. */
  decide(type: number, bodyLength: number): Handling {
    const isKnown = frontendName(type) !== undefined && type !== FRONTEND.PasswordMessage;
    if (!isKnown && !this.#state.options.grant().passthrough) {
      throw new ProtocolError(`invalid frontend message type ${type}`);
    }
    const isData = type === FRONTEND.CopyData;
    const { maxMessageBytes } = this.#state.options.target;
    if (!isData && !mustPass(type, bodyLength, maxMessageBytes)) return 'whole';
    this.#passing.announce(type, bodyLength + HEADER_LENGTH, isData);
    return 'pass';
  }

  /** @returns 'terminated' after Terminate; a promise only where something has to be waited for. */
  handle(item: ScannedItem): Promise<'terminated' | undefined> | 'terminated' | undefined {
    const { queue, cancels } = this.#state;
    const waitMs = item.kind === 'pass' || !STATEMENTS.has(item.type) ? 0 : this.#state.paceMs(1);
    const hasPlace = !queue.isFull || item.kind === 'pass' || UNANSWERED.has(item.type);
    const isReady = cancels.stopping === undefined && hasPlace && waitMs === 0;
    return isReady ? this.#handle(item) : this.#handleWhenReady(item, waitMs);
  }

  async #handleWhenReady(item: ScannedItem, waitMs: number): Promise<'terminated' | undefined> {
    const { queue } = this.#state;
    if (waitMs > 0) await this.#state.pause(waitMs);
    while (this.#state.cancels.stopping !== undefined) await this.#state.cancels.stopping;
    if (item.kind !== 'pass' && !UNANSWERED.has(item.type)) {
      await this.#state.waitForTarget(() => !queue.isFull);
    }
    return this.#handle(item);
  }

  #handle(item: ScannedItem): Promise<'terminated' | undefined> | 'terminated' | undefined {
    const { copy } = this.#state;
    const at = this.#at;
    this.#at += item.bytes.length;
    if (item.kind === 'pass') return this.#pass(item.bytes, at);
    if (item.type === FRONTEND.Terminate) {
      this.#state.toTarget.push(item.bytes);
      return 'terminated';
    }
    if (item.type === FRONTEND.CopyDone || item.type === FRONTEND.CopyFail) {
      copy.closed();
      if (!this.#state.skipping && !copy.isRefused) this.#state.sendData(item.bytes);
      const after = this.#state.trials.afterCopy;
      return after === undefined ? undefined : this.#afterCopy(after, at);
    }
    this.#state.cancels.take(at);
    const { type, body, bytes } = item;
    const waits =
      copy.isUndecided || copy.isReading
        ? this.#requestUnlessSpent(type, body, bytes, at)
        : this.#request(type, body, bytes, at);
    if (waits !== undefined) return this.#taken(waits);
    this.#state.cancels.take(undefined);
    return undefined;
  }

  /** What a COPY has brought is counted when its last data is there. */
  #afterCopy(after: () => Promise<void>, at: number): Promise<undefined> {
    this.#state.trials.afterCopy = undefined;
    this.#state.cancels.take(at);
    return this.#taken(after());
  }

  async #taken(waits: Promise<void>): Promise<undefined> {
    await waits;
    this.#state.cancels.take(undefined);
  }

  async #pass(bytes: Uint8Array, at: number): Promise<undefined> {
    const { copy } = this.#state;
    let partAt = at;
    for (const part of this.#passing.take(bytes)) {
      if (part.type === FRONTEND.CopyData) {
        copy.continued();
        if (!this.#state.skipping) this.#copyIn.data(part.bytes, part.isLast);
      } else await this.#large.part(part, partAt);
      partAt += part.bytes.length;
    }
  }

  async #requestUnlessSpent(
    type: number,
    body: Uint8Array,
    bytes: Uint8Array,
    at: number,
  ): Promise<void> {
    if (!(await this.#misplaced.isSpent(type))) await this.#request(type, body, bytes, at);
  }

  #request(
    type: number,
    body: Uint8Array,
    bytes: Uint8Array,
    at: number,
  ): Promise<void> | undefined {
    const failed = (error: unknown): void => {
      if (error instanceof MalformedMessage) this.#misplaced.malformed(type, body, bytes);
      else if (error instanceof UndecodableText) this.#portals.deny(this.#refusals.undecodable());
      else throw error;
    };
    try {
      return this.#understood(type, body, bytes, at)?.catch(failed);
    } catch (error) {
      failed(error);
      return undefined;
    }
  }

  #understood(
    type: number,
    body: Uint8Array,
    bytes: Uint8Array,
    at: number,
  ): Promise<void> | undefined {
    const state = this.#state;
    if (state.trials.isOpen && !CANNOT_COMMIT.has(type)) {
      return state.trials.settled().then(() => this.#understood(type, body, bytes, at));
    }
    if (type === FRONTEND.Sync) {
      decodeEmpty('Sync', body);
      state.sendSync(bytes);
      return undefined;
    }
    // The target discards everything up to Sync, and so it need not be decided.
    if (state.skipping) return undefined;
    switch (type) {
      case FRONTEND.Flush:
        decodeEmpty('Flush', body);
        state.sendFlush(bytes);
        return undefined;
      case FRONTEND.Query:
        return this.#query(body, bytes, at);
      case FRONTEND.Parse:
        return this.#parse(body, bytes, at);
      case FRONTEND.Bind:
        return this.#portals.bind(body, bytes, at);
      case FRONTEND.Execute:
        return this.#portals.execute(body, bytes, at);
      case FRONTEND.Describe:
        this.#describe(body, bytes);
        return undefined;
      case FRONTEND.Close:
        this.#close(body, bytes);
        return undefined;
      case FRONTEND.FunctionCall:
        this.#functionCall(bytes, at);
        return undefined;
      default:
        // Let through by a passthrough grant: whatever it is, the target has to make something of it.
        state.toTarget.push(bytes);
        return undefined;
    }
  }

  #runsOf(
    text: string,
    decided: Decided & { type: 'allowed' | 'opaque' },
    at: number,
  ): readonly Run[] {
    const state = this.#state;
    const known = knownStatements({ state, decided, text, at, parameterTypes: NO_TYPES });
    const grant = state.options.grant();
    return known.map((statement) => startRun(statement, at, grant));
  }

  #sendQuery(bytes: Uint8Array, runs: readonly Run[], isApproved: boolean): void {
    const state = this.#state;
    const { segment } = state;
    state.sendRuns(
      bytes,
      { kind: 'query', origin: 'client', segment, runs, current: 0, failed: false },
      isApproved,
    );
  }

  #query(body: Uint8Array, bytes: Uint8Array, at: number): Promise<void> | undefined {
    const state = this.#state;
    const checked = checkText(state, body, () => decodeQuery(body, state.codec).sql);
    return after(checked, (read): Promise<void> | undefined => {
      if (state.skipping) return undefined;
      const decided = read.type === 'refused' ? read : this.#decisions.decide(read.text, at);
      return after(decided, (now) => this.#decidedQuery(bytes, at, textOf(read), now));
    });
  }

  /** @returns a promise only where something has to be waited for. */
  #decidedQuery(
    bytes: Uint8Array,
    at: number,
    text: string,
    decided: Decided | InTurn,
  ): Promise<void> | undefined {
    switch (decided.type) {
      case 'skipped':
        return undefined;
      case 'in turn':
        return this.#sequences.run({ at, text, statements: decided.statements });
      case 'refused':
      case 'cancelled':
      case 'aborted':
        this.#denyQuery(this.#refusals.denial(at, decided, text));
        return undefined;
      default: {
        const isApproved = decided.type === 'allowed' && decided.isApproved === true;
        const send = (now: Allowed, isNowApproved: boolean): void =>
          this.#sendQuery(bytes, this.#runsOf(text, now, at), isNowApproved);
        if (decided.type === 'allowed' && isAnyLimited(decided)) {
          return this.#counted.query({ at, text, decided, isApproved, send });
        }
        const runs = this.#runsOf(text, decided, at);
        const grant = this.#state.options.grant();
        if (runs.some(({ statement }) => needsReading(statement, grant))) {
          return this.#copyQuery(bytes, runs, isApproved);
        }
        this.#sendQuery(bytes, runs, isApproved);
        return undefined;
      }
    }
  }

  #denyQuery(denial: Denial): void {
    const { segment } = this.#state;
    const entry = { kind: 'query', origin: 'client', segment, denial, runs: [] } as const;
    this.#state.send(deniedQuery(denial), { ...entry, current: 0, failed: false });
  }

  /** A text with a COPY … TO STDOUT whose data is read: what it copies must be known before. */
  async #copyQuery(bytes: Uint8Array, runs: readonly Run[], isApproved: boolean): Promise<void> {
    const state = this.#state;
    const confirmed = await confirmCopies(state, runs);
    switch (confirmed.type) {
      case 'ready': {
        const { text } = confirmed;
        const own = text === undefined ? undefined : encodeQuery({ sql: text }, state.codec);
        return this.#sendQuery(own ?? bytes, runs, isApproved);
      }
      case 'refused':
        return this.#denyQuery(this.#refusals.withheld(confirmed.run, confirmed.refusal));
      case 'failed':
        // The client has the error, and expects ReadyForQuery as after any Query.
        return state.sendSync();
      case 'skipped':
        return;
    }
  }

  #parse(body: Uint8Array, bytes: Uint8Array, at: number): Promise<void> | undefined {
    const state = this.#state;
    let name = '';
    let parameterTypes: readonly number[] = [];
    const checked = checkText(state, namesAndText(body), () => {
      const message = decodeParse(body, state.codec);
      name = message.statement;
      parameterTypes = message.parameterTypes;
      return message.sql;
    });
    return after(checked, (read): Promise<void> | undefined => {
      if (state.skipping) return undefined;
      const decided =
        read.type === 'refused'
          ? read
          : this.#decider.decide({ text: read.text, parameterTypes, isNamed: name !== '' });
      return after(decided, (now) =>
        this.#decidedParse(bytes, at, { text: textOf(read), decided: now, name, parameterTypes }),
      );
    });
  }

  #decidedParse(
    bytes: Uint8Array,
    at: number,
    parse: {
      readonly text: string;
      readonly decided: Decided;
      readonly name: string;
      readonly parameterTypes: readonly number[];
    },
  ): undefined {
    const state = this.#state;
    const { text, decided, name } = parse;
    const { segment } = state;
    const base = { kind: 'parse', origin: 'client', name, segment } as const;
    switch (decided.type) {
      case 'skipped':
        return;
      case 'refused':
      case 'cancelled':
      case 'aborted': {
        const denial = this.#refusals.denial(at, decided, text);
        state.send(deniedParse(denial, name, state.codec), {
          ...base,
          statement: undefined,
          denial,
        });
        state.skipping = true;
        return;
      }
      default: {
        const [statement] = knownStatements({ state, at, ...parse, decided });
        const entry = { ...base, statement };
        state.send(bytes, entry);
        state.statements.announce(name, entry, statement);
      }
    }
  }

  #describe(body: Uint8Array, bytes: Uint8Array): void {
    const state = this.#state;
    const { what, name } = decodeDescribe(body, state.codec);
    const base = { kind: 'describe', origin: 'client', segment: state.segment } as const;
    if (what === 'statement') {
      const found = state.statements.lookup(name, state.segment);
      const statement = found.type === 'known' ? found.value : undefined;
      if (statement !== undefined) statement.describedIn = state.segment;
      state.send(bytes, { ...base, statement, portal: undefined });
    } else {
      const found = state.portals.lookup(name, state.segment);
      const portal = found.type === 'known' ? found.value : undefined;
      if (portal !== undefined) portal.describedIn = state.segment;
      state.send(bytes, { ...base, statement: undefined, portal });
    }
  }

  #close(body: Uint8Array, bytes: Uint8Array): void {
    const state = this.#state;
    const { what, name } = decodeClose(body, state.codec);
    const entry = { kind: 'close', origin: 'client', what, name, segment: state.segment } as const;
    state.send(bytes, entry);
    if (what === 'statement') state.statements.announce(name, entry, undefined);
    else state.portals.announce(name, entry, undefined);
  }

  /** The fast path calls a function by OID, past every parser: refused, as natively as any error. */
  #functionCall(bytes: Uint8Array, at: number): void {
    const state = this.#state;
    const entry = { origin: 'client', segment: state.segment } as const;
    if (state.options.grant().passthrough) {
      tellOpaque(state.options, at);
      state.settings.sent({ runsUserCode: true, changesCatalog: true }, state.segment);
      state.send(bytes, { ...entry, kind: 'function-call' });
      return;
    }
    const denial = this.#refusals.functionCall(at);
    state.send(deniedQuery(denial), { ...entry, kind: 'function-call', denial });
  }
}

/** What of a Parse is text; the OIDs behind it may have any bytes. */
function namesAndText(body: Uint8Array): Uint8Array {
  const textEnd = body.indexOf(0, body.indexOf(0) + 1);
  return body.subarray(0, Math.max(textEnd, 0));
}

function textOf(checked: CheckedText): string {
  return checked.type === 'refused' ? '' : checked.text;
}
