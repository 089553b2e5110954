/**
 * Which answer belongs to which statement. The server answers in the order of the requests, so
 * one queue of what was asked is enough: a Query until its ReadyForQuery, and for the extended
 * protocol each Parse, Bind, Describe, Execute and Close until its own reply. After an error the
 * server skips everything up to the next Sync, and so does this.
 * https://www.postgresql.org/docs/current/protocol-flow.html
 */
import { ProtocolError } from '../errors.ts';
import { type Bind, decodeBind } from '../protocol/pg/bind.ts';
import { decodeClose } from '../protocol/pg/close.ts';
import { decodeCommandComplete } from '../protocol/pg/command-complete.ts';
import { decodeDataRow } from '../protocol/pg/data-row.ts';
import { decodeDescribe } from '../protocol/pg/describe.ts';
import { decodeErrorResponse } from '../protocol/pg/error-response.ts';
import { decodeExecute } from '../protocol/pg/execute.ts';
import { BACKEND, backendName, FRONTEND } from '../protocol/pg/message-types.ts';
import { decodeNoticeResponse } from '../protocol/pg/notice-response.ts';
import { decodeNotificationResponse } from '../protocol/pg/notification-response.ts';
import { decodeParameterDescription } from '../protocol/pg/parameter-description.ts';
import { decodeParameterStatus } from '../protocol/pg/parameter-status.ts';
import { decodeParse } from '../protocol/pg/parse.ts';
import { decodeQuery } from '../protocol/pg/query.ts';
import { decodeRowDescription } from '../protocol/pg/row-description.ts';
import type { StartupPacket } from '../protocol/pg/startup-packet.ts';
import { BYTES } from '../protocol/pg/text-codec.ts';
import { type DecodeText, decoderFor } from './client-encoding.ts';
import {
  type Budget,
  type FieldShape,
  OpenResult,
  OpenStatement,
  type Prepared,
} from './open-statement.ts';
import { MAX_NAMES, MAX_PENDING, MAX_ROW_LENGTH, type ReplayLimits } from './replay-limits.ts';
import { showValue } from './show-value.ts';
import type { Notice, Outcome, Parameter, ServerMessage } from './timeline.ts';
import { typeName } from './type-names.ts';

export interface ConversationOptions {
  readonly stream: number;
  readonly limits: ReplayLimits;
  readonly budget: Budget;
  /** The number of the next statement of the session. */
  readonly nextNumber: () => number;
  readonly onStartup: (parameters: ReadonlyMap<string, string>, timeMs: number) => void;
  /** The statement has its place; it goes on changing until `onEnd`. */
  readonly onBegin: (statement: OpenStatement) => void;
  readonly onEnd: (statement: OpenStatement) => void;
  readonly onNotice: (notice: Notice) => void;
}

interface Portal {
  readonly prepared: Prepared | undefined;
  readonly at: number;
  readonly parameters: readonly Parameter[];
  readonly resultFormats: readonly number[];
  fields: readonly FieldShape[] | undefined;
}

/** What was asked and is not answered yet. */
type Pending =
  | {
      readonly type: 'query' | 'execute' | 'function';
      readonly statement: OpenStatement;
      readonly portal?: Portal;
    }
  | { readonly type: 'parse'; readonly prepared: Prepared }
  | { readonly type: 'bind'; readonly portal: Portal }
  | {
      readonly type: 'describe';
      readonly prepared?: Prepared | undefined;
      readonly portal?: Portal | undefined;
    }
  | { readonly type: 'close' }
  /** `parses`: those since the Sync before; the ones without a run become entries of their own. */
  | { readonly type: 'sync'; readonly parses: readonly Prepared[] };

interface Place {
  /** Offset in the up stream. */
  readonly at: number;
  readonly timeMs: number;
}

export class Conversation {
  readonly #options: ConversationOptions;
  #decode: DecodeText = decoderFor('UTF8');
  readonly #prepared = new Map<string, Prepared>();
  readonly #portals = new Map<string, Portal>();
  /** A queue; `#head` moves so that answering is not quadratic. */
  #pending: Pending[] = [];
  #head = 0;
  #parses: Prepared[] = [];
  #ready = false;
  /** After an error in the extended protocol whose Sync has not come yet. */
  #skipping = false;
  #copying = false;

  constructor(options: ConversationOptions) {
    this.#options = options;
  }

  startup(packet: StartupPacket, timeMs: number): void {
    if (packet.type !== 'StartupMessage') {
      throw new ProtocolError(`a connection that begins with ${packet.type}`);
    }
    this.#decode = decoderFor(packet.parameters.get('client_encoding') ?? 'UTF8');
    this.#options.onStartup(packet.parameters, timeMs);
  }

  copyData(bodyLength: number): void {
    const copy = this.#currentStatement()?.result?.copy;
    if (copy) {
      copy.bytes += bodyLength;
    }
  }

  wantsRow(bodyLength: number): boolean {
    const { limits, budget } = this.#options;
    const head = this.#front();
    if (head?.type !== 'execute' && !(head?.type === 'query' && head.statement.result)) {
      throw new ProtocolError('DataRow that nobody asked for');
    }
    return this.#openResult(head).wantsRow(bodyLength, MAX_ROW_LENGTH, limits, budget);
  }

  // ------------------------------------------------------------------ client

  fromClient(type: number, body: Uint8Array, place: Place): void {
    if (this.#pending.length - this.#head > MAX_PENDING) {
      throw new ProtocolError(`more than ${MAX_PENDING} requests without an answer`);
    }
    if (this.#skipping && type !== FRONTEND.Sync) {
      this.#skipped(type, body, place);
      return;
    }
    switch (type) {
      case FRONTEND.Query:
        this.#ask({ type: 'query', statement: this.#begin('simple', body, place) });
        return;
      case FRONTEND.FunctionCall:
        this.#ask({ type: 'function', statement: this.#begin('function call', body, place) });
        return;
      case FRONTEND.Parse:
        this.#parse(body, place);
        return;
      case FRONTEND.Bind:
        this.#bind(body, place);
        return;
      case FRONTEND.Describe: {
        const { target, name } = decodeDescribe(body, BYTES);
        this.#ask(
          target === 'statement'
            ? { type: 'describe', prepared: this.#prepared.get(name) }
            : { type: 'describe', portal: this.#portals.get(name) },
        );
        return;
      }
      case FRONTEND.Execute:
        this.#execute(body, place);
        return;
      case FRONTEND.Close: {
        const { target, name } = decodeClose(body, BYTES);
        (target === 'statement' ? this.#prepared : this.#portals).delete(name);
        this.#ask({ type: 'close' });
        return;
      }
      case FRONTEND.Sync:
        this.#skipping = false;
        // A server that is taking COPY data ignores Sync.
        if (!this.#copying) {
          this.#ask({ type: 'sync', parses: this.#parses });
          this.#parses = [];
        }
        return;
      case FRONTEND.CopyDone:
      case FRONTEND.CopyFail:
        this.#copying = false;
        return;
      default:
        return;
    }
  }

  #ask(pending: Pending): void {
    this.#pending.push(pending);
  }

  #begin(protocol: 'simple' | 'function call', body: Uint8Array, place: Place): OpenStatement {
    const text = protocol === 'simple' ? decodeQuery(body, BYTES).query : '';
    return this.#newStatement(protocol, text, place, {});
  }

  #newStatement(
    protocol: 'simple' | 'extended' | 'function call',
    latin1: string,
    { at, timeMs }: Place,
    origin: ConstructorParameters<typeof OpenStatement>[1],
  ): OpenStatement {
    const { stream, nextNumber, onBegin } = this.#options;
    const statement = new OpenStatement(
      {
        number: nextNumber(),
        stream,
        at,
        protocol,
        text: this.#text(latin1),
        textLength: latin1.length,
        startMs: timeMs,
      },
      origin,
    );
    onBegin(statement);
    return statement;
  }

  /** Names stay as bytes, so that no two become one; what people read is decoded. */
  #text(latin1: string): string {
    const { statementLength } = this.#options.limits;
    const text = this.#decode(Buffer.from(latin1.slice(0, statementLength * 4), 'latin1'));
    return text.slice(0, statementLength);
  }

  #parse(body: Uint8Array, { at, timeMs }: Place): void {
    const { name, query, parameterTypes } = decodeParse(body, BYTES);
    const prepared: Prepared = {
      name: this.#text(name),
      at,
      startMs: timeMs,
      text: this.#text(query),
      textLength: query.length,
      parameterTypes,
      fields: undefined,
      decisions: [],
      runs: 0,
      error: undefined,
    };
    remember(this.#prepared, name, prepared);
    this.#parses.push(prepared);
    this.#ask({ type: 'parse', prepared });
  }

  #bind(body: Uint8Array, { at }: Place): void {
    const bind = decodeBind(body, BYTES);
    const prepared = this.#prepared.get(bind.statement);
    const portal: Portal = {
      prepared,
      at,
      parameters: this.#parameters(bind, prepared?.parameterTypes ?? []),
      resultFormats: bind.resultFormats,
      fields: undefined,
    };
    remember(this.#portals, bind.portal, portal);
    this.#ask({ type: 'bind', portal });
  }

  #parameters(bind: Bind, types: readonly number[]): Parameter[] {
    return bind.parameters.map((value, index) => {
      const typeOid = types[index] ?? 0;
      const format = formatAt(bind.parameterFormats, index);
      const limit = this.#options.limits.valueLength;
      return {
        type: typeName(typeOid),
        value: showValue(value, { format, typeOid, decode: this.#decode, limit }),
      };
    });
  }

  #execute(body: Uint8Array, place: Place): void {
    const { portal: name } = decodeExecute(body, BYTES);
    const portal = this.#portals.get(name);
    const prepared = portal?.prepared;
    if (prepared) {
      prepared.runs += 1;
    }
    const offsets = [prepared?.at, portal?.at, place.at].filter((at) => at !== undefined);
    const { stream, nextNumber, onBegin } = this.#options;
    const statement = new OpenStatement(
      {
        number: nextNumber(),
        stream,
        at: place.at,
        protocol: 'extended',
        text: prepared?.text ?? '',
        textLength: prepared?.textLength ?? 0,
        startMs: place.timeMs,
      },
      { prepared, parameters: portal?.parameters ?? [], offsets },
    );
    onBegin(statement);
    this.#ask({ type: 'execute', statement, ...(portal ? { portal } : {}) });
  }

  /** The server does not look at it; a statement among it is shown as such. */
  #skipped(type: number, body: Uint8Array, place: Place): void {
    if (type === FRONTEND.Query) {
      const statement = this.#begin('simple', body, place);
      statement.end('skipped', place.timeMs);
      this.#options.onEnd(statement);
    } else if (type === FRONTEND.Parse) {
      const { query } = decodeParse(body, BYTES);
      const statement = this.#newStatement('extended', query, place, {});
      statement.end('skipped', place.timeMs);
      this.#options.onEnd(statement);
    }
  }

  // ------------------------------------------------------------------ server

  fromServer(type: number, body: Uint8Array, timeMs: number): void {
    switch (type) {
      case BACKEND.ReadyForQuery:
        this.#readyForQuery(timeMs);
        return;
      case BACKEND.ParameterStatus: {
        const { name, value } = decodeParameterStatus(body, BYTES);
        if (name === 'client_encoding') {
          this.#decode = decoderFor(value);
        }
        return;
      }
      case BACKEND.NoticeResponse:
        this.#notice(this.#message(decodeNoticeResponse(body, BYTES).fields), timeMs);
        return;
      case BACKEND.NotificationResponse: {
        const { channel, payload } = decodeNotificationResponse(body, BYTES);
        const message = `${this.#text(channel)}: ${this.#text(payload)}`;
        this.#standalone(serverMessage('NOTIFY', '00000', message), timeMs);
        return;
      }
      case BACKEND.ErrorResponse:
        this.#error(this.#message(decodeErrorResponse(body, BYTES).fields), timeMs);
        return;
      case BACKEND.ParseComplete:
        this.#take('parse', type);
        return;
      case BACKEND.BindComplete:
        this.#take('bind', type);
        return;
      case BACKEND.CloseComplete:
        this.#take('close', type);
        return;
      case BACKEND.ParameterDescription: {
        const head = this.#front();
        if (head?.type === 'describe' && head.prepared) {
          head.prepared.parameterTypes = decodeParameterDescription(body).types;
        }
        return;
      }
      case BACKEND.NoData:
        this.#take('describe', type);
        return;
      case BACKEND.RowDescription:
        this.#rowDescription(body);
        return;
      case BACKEND.DataRow:
        this.#dataRow(body);
        return;
      case BACKEND.CommandComplete:
        this.#complete(this.#text(decodeCommandComplete(body, BYTES).tag), timeMs);
        return;
      case BACKEND.EmptyQueryResponse:
        this.#complete('', timeMs);
        return;
      case BACKEND.PortalSuspended: {
        const result = this.#currentStatement()?.result;
        if (result) {
          result.suspended = true;
        }
        this.#complete(undefined, timeMs);
        return;
      }
      case BACKEND.CopyInResponse:
      case BACKEND.CopyOutResponse:
      case BACKEND.CopyBothResponse:
        this.#copyResponse(type, body);
        return;
      default:
        return;
    }
  }

  /** The bytes end here. Whatever is still open was never answered. */
  end(): void {
    for (const pending of this.#pending.slice(this.#head)) {
      if ('statement' in pending) {
        pending.statement.end(pending.statement.error ? 'failed' : 'unanswered', undefined);
        this.#options.onEnd(pending.statement);
      } else if (pending.type === 'sync') {
        this.#showUnused(pending.parses, undefined);
      }
    }
    this.#showUnused(this.#parses, undefined);
    this.#pending = [];
    this.#parses = [];
    this.#head = 0;
  }

  #front(): Pending | undefined {
    return this.#pending[this.#head];
  }

  #shift(): Pending | undefined {
    const pending = this.#pending[this.#head];
    this.#head += 1;
    if (this.#head > 1024 && this.#head * 2 > this.#pending.length) {
      this.#pending = this.#pending.slice(this.#head);
      this.#head = 0;
    }
    return pending;
  }

  #take(type: Pending['type'], reply: number): Pending {
    const pending = this.#front();
    if (pending?.type !== type) {
      throw new ProtocolError(`${backendName(reply)} that nobody asked for`);
    }
    this.#shift();
    return pending;
  }

  #currentStatement(): OpenStatement | undefined {
    const head = this.#front();
    return head && 'statement' in head ? head.statement : undefined;
  }

  #rowDescription(body: Uint8Array): void {
    const fields = decodeRowDescription(body, BYTES).fields.map(
      ({ name, typeOid, format }): FieldShape => ({ name: this.#text(name), typeOid, format }),
    );
    const head = this.#front();
    if (head?.type === 'query') {
      head.statement.results.push(new OpenResult(fields));
    } else if (head?.type === 'describe') {
      if (head.prepared) {
        head.prepared.fields = fields;
      }
      if (head.portal) {
        head.portal.fields = fields;
      }
      this.#shift();
    } else {
      throw new ProtocolError('RowDescription that nobody asked for');
    }
  }

  #dataRow(body: Uint8Array): void {
    const statement = this.#currentStatement();
    const result = statement?.result;
    if (result) {
      const { limits, budget } = this.#options;
      result.row(decodeDataRow(body).values, this.#decode, limits, budget);
    }
  }

  #complete(tag: string | undefined, timeMs: number): void {
    const head = this.#front();
    if (head?.type !== 'query' && head?.type !== 'execute') {
      throw new ProtocolError('the end of a command that nobody began');
    }
    const { statement } = head;
    // RowDescription or CopyOutResponse has opened it, unless the command returns nothing.
    const result = this.#openResult(head);
    result.tag = tag;
    this.#copying = false;
    if (head.type === 'execute') {
      this.#shift();
      statement.end('ok', timeMs);
      this.#options.onEnd(statement);
    }
  }

  /** The result that is open, or a new one: commands without rows have no RowDescription. */
  #openResult(head: Extract<Pending, { statement: OpenStatement }>): OpenResult {
    const current = head.statement.result;
    if (current && current.tag === undefined && !current.suspended) {
      return current;
    }
    const result = new OpenResult(fieldsOf(head.portal), head.portal?.resultFormats);
    head.statement.results.push(result);
    return result;
  }

  #copyResponse(type: number, body: Uint8Array): void {
    const head = this.#front();
    if (head?.type !== 'query' && head?.type !== 'execute') {
      throw new ProtocolError('COPY that nobody began');
    }
    const direction = type === BACKEND.CopyOutResponse ? 'out' : 'in';
    const result = new OpenResult([]);
    result.copy = { direction, format: body[0] === 1 ? 'binary' : 'text', bytes: 0 };
    head.statement.results.push(result);
    if (direction === 'in') {
      this.#copying = true;
      // The server read them while it took COPY data, and ignored them.
      while (this.#pending[this.#head + 1]?.type === 'sync') {
        this.#pending.splice(this.#head + 1, 1);
      }
    }
  }

  #readyForQuery(timeMs: number): void {
    if (!this.#ready) {
      this.#ready = true;
      return;
    }
    const head = this.#shift();
    if (head?.type === 'query' || head?.type === 'function') {
      head.statement.end(head.statement.error ? 'failed' : 'ok', timeMs);
      this.#options.onEnd(head.statement);
    } else if (head?.type === 'sync') {
      this.#showUnused(head.parses, timeMs);
    } else {
      throw new ProtocolError('ReadyForQuery that nobody asked for');
    }
    this.#copying = false;
  }

  #showUnused(parses: readonly Prepared[], timeMs: number | undefined): void {
    for (const prepared of parses) {
      if (prepared.runs === 0) {
        this.#showPrepared(prepared, timeMs === undefined ? 'unanswered' : 'prepared', timeMs);
      }
    }
  }

  #showPrepared(prepared: Prepared, outcome: Outcome, timeMs: number | undefined): OpenStatement {
    const { stream, nextNumber, onBegin, onEnd } = this.#options;
    const { at, text, textLength, startMs } = prepared;
    const statement = new OpenStatement(
      { number: nextNumber(), stream, at, protocol: 'extended', text, textLength, startMs },
      { prepared },
    );
    statement.error = prepared.error;
    onBegin(statement);
    statement.end(outcome, timeMs);
    onEnd(statement);
    return statement;
  }

  #error(message: ServerMessage, timeMs: number): void {
    const head = this.#front();
    if (head === undefined || !this.#ready || head.type === 'sync') {
      this.#standalone(message, timeMs);
      return;
    }
    this.#copying = false;
    if (head.type === 'query' || head.type === 'function') {
      // ReadyForQuery ends it.
      head.statement.error = message;
      return;
    }
    this.#fail(head, message, timeMs);
  }

  /** The error goes to the statement it is about; what is queued up to the Sync is skipped. */
  #fail(head: Pending, message: ServerMessage, timeMs: number): void {
    const about = 'statement' in head ? head.statement.prepared : preparedOf(head);
    let told = false;
    for (let next = this.#front(); next && next.type !== 'sync'; next = this.#front()) {
      this.#shift();
      if (next.type === 'parse' && next.prepared !== about && next.prepared.runs === 0) {
        next.prepared.runs += 1;
        this.#showPrepared(next.prepared, 'skipped', timeMs);
      }
      if (!('statement' in next)) {
        continue;
      }
      const isIt =
        !told && (next === head || (about !== undefined && next.statement.prepared === about));
      if (isIt) {
        next.statement.error = message;
        told = true;
      }
      next.statement.end(isIt ? 'failed' : 'skipped', timeMs);
      this.#options.onEnd(next.statement);
    }
    if (!told && about) {
      about.error = message;
      about.runs += 1;
      this.#showPrepared(about, 'failed', timeMs);
    } else if (!told) {
      this.#standalone(message, timeMs);
    }
    this.#skipping = this.#front() === undefined;
  }

  #notice(message: ServerMessage, timeMs: number): void {
    const statement = this.#currentStatement();
    if (statement) {
      statement.notices.push(message);
    } else {
      this.#standalone(message, timeMs);
    }
  }

  #standalone(message: ServerMessage, timeMs: number): void {
    this.#options.onNotice({ type: 'notice', timeMs, stream: this.#options.stream, message });
  }

  #message(fields: ReadonlyMap<string, string>): ServerMessage {
    const field = (code: string) => {
      const value = fields.get(code);
      return value === undefined ? undefined : this.#text(value);
    };
    const position = Number(field('P'));
    return {
      severity: field('V') ?? field('S') ?? 'ERROR',
      sqlState: field('C') ?? '',
      message: field('M') ?? '',
      detail: field('D'),
      hint: field('H'),
      position: Number.isSafeInteger(position) && position > 0 ? position : undefined,
    };
  }
}

function serverMessage(severity: string, sqlState: string, message: string): ServerMessage {
  return { severity, sqlState, message, detail: undefined, hint: undefined, position: undefined };
}

function preparedOf(pending: Pending): Prepared | undefined {
  switch (pending.type) {
    case 'parse':
      return pending.prepared;
    case 'bind':
      return pending.portal.prepared;
    case 'describe':
      return pending.prepared ?? pending.portal?.prepared;
    default:
      return undefined;
  }
}

function remember<Value>(names: Map<string, Value>, name: string, value: Value): void {
  if (names.size >= MAX_NAMES && !names.has(name)) {
    throw new ProtocolError(`more than ${MAX_NAMES} names on one connection`);
  }
  names.set(name, value);
}

/** No codes: all text. One code: for all. Else one for each. */
function formatAt(formats: readonly number[], index: number): number {
  return formats.length === 1 ? (formats[0] ?? 0) : (formats[index] ?? 0);
}

/**
 * The columns that an Execute returns, if anyone has asked for them. Describe of a statement does
 * not know the formats; Bind says them.
 */
function fieldsOf(portal: Portal | undefined): readonly FieldShape[] {
  const formats = portal?.resultFormats ?? [];
  return (
    portal?.fields ??
    portal?.prepared?.fields?.map((field, index) => ({
      ...field,
      format: formatAt(formats, index),
    })) ??
    []
  );
}
