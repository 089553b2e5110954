/** The server's half of a recorded conversation: what it answered, and to which request. */

import { ProtocolError } from '../../../errors.ts';
import { MAX_ROW_LENGTH } from '../../../replay/replay-limits.ts';
import type { ServerMessage } from '../../../replay/timeline.ts';
import {
  COPY_RESPONSE,
  type CopyResponseName,
  decodeCommandComplete,
  decodeDataRow,
  decodeNotificationResponse,
  decodeParameterDescription,
  decodeParameterStatus,
  decodeRowDescription,
} from '../protocol/backend-messages.ts';
import { BACKEND, backendName } from '../protocol/message-types.ts';
import {
  decodeErrorResponse,
  decodeNoticeResponse,
  REPORT_FIELD,
  type ReportFields,
} from '../protocol/report-fields.ts';
import { BYTES } from '../protocol/text-codec.ts';
import { SQL_STATE } from '../sql-state.ts';
import type { Conversation, Pending } from './conversation.ts';
import {
  type FieldShape,
  fieldsOf,
  OpenResult,
  type OpenStatement,
  type Prepared,
} from './open-statement.ts';

export class ServerMessages {
  readonly #conversation: Conversation;
  /** After the ReadyForQuery that ends the startup. */
  #ready = false;

  constructor(conversation: Conversation) {
    this.#conversation = conversation;
  }

  /** COPY data in either direction; only its length counts. */
  copyData(bodyLength: number): void {
    const copy = this.#statement()?.result?.copy;
    if (copy) {
      copy.bytes += bodyLength;
    }
  }

  /** @returns whether the row that comes next is to be decoded; it is counted here. */
  wantsRow(bodyLength: number): boolean {
    const head = this.#conversation.front;
    if (head?.type !== 'execute' && !(head?.type === 'query' && head.statement.result)) {
      throw new ProtocolError('DataRow that nobody asked for');
    }
    const { limits, budget } = this.#conversation.options;
    return bodyLength <= MAX_ROW_LENGTH
      ? openResult(head).wantsRow(limits, budget)
      : openResult(head).wantsRow({ ...limits, rows: 0 }, budget);
  }

  take(type: number, body: Uint8Array, timeMs: number): void {
    const conversation = this.#conversation;
    switch (type) {
      case BACKEND.ReadyForQuery:
        this.#readyForQuery(timeMs);
        return;
      case BACKEND.ErrorResponse:
        this.#error(serverMessage(decodeErrorResponse(body, BYTES).fields, conversation), timeMs);
        return;
      case BACKEND.NoticeResponse:
        this.#notice(serverMessage(decodeNoticeResponse(body, BYTES).fields, conversation), timeMs);
        return;
      case BACKEND.NotificationResponse: {
        const { channel, payload } = decodeNotificationResponse(body, BYTES);
        conversation.notice(notification(channel, payload, conversation), timeMs);
        return;
      }
      case BACKEND.ParameterStatus: {
        const { name, value } = decodeParameterStatus(body, BYTES);
        if (name === 'client_encoding') {
          conversation.readAs(value);
        }
        return;
      }
      case BACKEND.ParseComplete:
        this.#answered('parse', type);
        return;
      case BACKEND.BindComplete:
        this.#answered('bind', type);
        return;
      case BACKEND.CloseComplete:
        this.#answered('close', type);
        return;
      case BACKEND.NoData:
        this.#answered('describe', type);
        return;
      case BACKEND.ParameterDescription: {
        const head = conversation.front;
        if (head?.type === 'describe' && head.prepared) {
          head.prepared.parameterTypes = decodeParameterDescription(body).parameterTypes;
        }
        return;
      }
      case BACKEND.RowDescription:
        this.#rowDescription(body);
        return;
      case BACKEND.DataRow: {
        const { limits, budget } = conversation.options;
        const { values } = decodeDataRow(body);
        this.#statement()?.result?.row(values, conversation.decode, limits, budget);
        return;
      }
      case BACKEND.CommandComplete:
        this.#complete(conversation.text(decodeCommandComplete(body, BYTES).tag), timeMs);
        return;
      case BACKEND.EmptyQueryResponse:
        this.#complete('', timeMs);
        return;
      case BACKEND.PortalSuspended:
        this.#complete(undefined, timeMs);
        return;
      case BACKEND.CopyInResponse:
      case BACKEND.CopyOutResponse:
      case BACKEND.CopyBothResponse:
        this.#copyResponse(type, body);
        return;
      default:
        return;
    }
  }

  #statement(): OpenStatement | undefined {
    const head = this.#conversation.front;
    return head && 'statement' in head ? head.statement : undefined;
  }

  #answered(request: Pending['type'], reply: number): void {
    if (this.#conversation.front?.type !== request) {
      throw new ProtocolError(`${backendName(reply)} that nobody asked for`);
    }
    this.#conversation.shift();
  }

  #rowDescription(body: Uint8Array): void {
    const conversation = this.#conversation;
    const fields = decodeRowDescription(body, BYTES).fields.map(
      ({ name, typeOid, format }): FieldShape => ({
        name: conversation.text(name),
        typeOid,
        format,
      }),
    );
    const head = conversation.front;
    if (head?.type === 'query') {
      head.statement.addResult(new OpenResult(fields));
      return;
    }
    if (head?.type !== 'describe') {
      throw new ProtocolError('RowDescription that nobody asked for');
    }
    if (head.prepared) {
      head.prepared.fields = fields;
    }
    if (head.portal) {
      head.portal.fields = fields;
    }
    conversation.shift();
  }

  /** @param tag undefined: the portal has more rows than Execute wanted. */
  #complete(tag: string | undefined, timeMs: number): void {
    const conversation = this.#conversation;
    const head = conversation.front;
    if (head?.type !== 'query' && head?.type !== 'execute') {
      throw new ProtocolError('the end of a command that nobody began');
    }
    conversation.copying = false;
    openResult(head).end(tag);
    if (head.type === 'execute') {
      conversation.shift();
      conversation.finish(head.statement, 'ok', timeMs);
    }
  }

  #copyResponse(type: keyof typeof COPY_RESPONSES, body: Uint8Array): void {
    const conversation = this.#conversation;
    const head = conversation.front;
    if (head?.type !== 'query' && head?.type !== 'execute') {
      throw new ProtocolError('COPY that nobody began');
    }
    const name = COPY_RESPONSES[type];
    const { format } = COPY_RESPONSE[name].decode(body);
    const direction = name === 'CopyOutResponse' ? 'out' : 'in';
    const result = new OpenResult([]);
    result.copy = { direction, format: format === 1 ? 'binary' : 'text', bytes: 0 };
    head.statement.addResult(result);
    if (direction === 'in') {
      conversation.copying = true;
      conversation.dropSyncsBehindFront();
    }
  }

  #readyForQuery(timeMs: number): void {
    if (!this.#ready) {
      this.#ready = true;
      return;
    }
    const conversation = this.#conversation;
    conversation.copying = false;
    const head = conversation.shift();
    switch (head?.type) {
      case 'query':
      case 'function':
        conversation.finish(head.statement, head.statement.error ? 'failed' : 'ok', timeMs);
        return;
      case 'sync':
        conversation.showUnused(head.parses, timeMs);
        return;
      default:
        throw new ProtocolError('ReadyForQuery that nobody asked for');
    }
  }

  #error(message: ServerMessage, timeMs: number): void {
    const conversation = this.#conversation;
    const head = conversation.front;
    if (head === undefined || !this.#ready || head.type === 'sync') {
      conversation.notice(message, timeMs);
      return;
    }
    conversation.copying = false;
    if (head.type === 'query' || head.type === 'function') {
      // ReadyForQuery ends it.
      head.statement.error = message;
      return;
    }
    this.#fail(head, message, timeMs);
  }

  /** The error goes to the statement that it is about; what is queued up to the Sync is skipped. */
  #fail(head: Pending, message: ServerMessage, timeMs: number): void {
    const conversation = this.#conversation;
    const about = preparedOf(head);
    let told = false;
    for (
      let next = conversation.front;
      next !== undefined && next.type !== 'sync';
      next = conversation.front
    ) {
      conversation.shift();
      if (next.type === 'parse' && next.prepared !== about && next.prepared.runs === 0) {
        conversation.showPrepared(next.prepared, 'skipped', timeMs);
      }
      if ('statement' in next) {
        const isAbout = next === head || (about && next.statement.prepared === about);
        if (isAbout && !told) {
          told = true;
          next.statement.error = message;
          conversation.finish(next.statement, 'failed', timeMs);
        } else {
          conversation.finish(next.statement, 'skipped', timeMs);
        }
      }
    }
    conversation.skipping = conversation.front === undefined;
    if (!told && about) {
      about.error = message;
      conversation.showPrepared(about, 'failed', timeMs);
    } else if (!told) {
      conversation.notice(message, timeMs);
    }
  }

  #notice(message: ServerMessage, timeMs: number): void {
    const statement = this.#statement();
    if (statement) {
      statement.note(message);
    } else {
      this.#conversation.notice(message, timeMs);
    }
  }
}

const COPY_RESPONSES = {
  [BACKEND.CopyInResponse]: 'CopyInResponse',
  [BACKEND.CopyOutResponse]: 'CopyOutResponse',
  [BACKEND.CopyBothResponse]: 'CopyBothResponse',
} as const satisfies Record<number, CopyResponseName>;

/** The result that is open, or a new one: commands without rows have no RowDescription. */
function openResult(head: Extract<Pending, { type: 'query' | 'execute' }>): OpenResult {
  const { statement } = head;
  if (statement.result?.isOpen) {
    return statement.result;
  }
  const portal = head.type === 'execute' ? head.portal : undefined;
  const result = new OpenResult(fieldsOf(portal), portal?.resultFormats);
  statement.addResult(result);
  return result;
}

function preparedOf(pending: Pending): Prepared | undefined {
  switch (pending.type) {
    case 'parse':
      return pending.prepared;
    case 'bind':
      return pending.portal.prepared;
    case 'describe':
      return pending.prepared ?? pending.portal?.prepared;
    case 'execute':
      return pending.statement.prepared;
    default:
      return undefined;
  }
}

// What the server says beside results, as text.

/** ErrorResponse or NoticeResponse. @param fields one character per byte */
function serverMessage(fields: ReportFields, conversation: Conversation): ServerMessage {
  const field = (name: keyof typeof REPORT_FIELD) => {
    const value = fields.get(REPORT_FIELD[name]);
    return value === undefined ? undefined : conversation.text(value);
  };
  const position = Number(field('position'));
  return {
    severity: field('severityNonLocalized') ?? field('severity') ?? 'ERROR',
    sqlState: field('sqlState') ?? '',
    message: field('message') ?? '',
    detail: field('detail'),
    hint: field('hint'),
    position: Number.isSafeInteger(position) && position > 0 ? position : undefined,
  };
}

/** NotificationResponse: what another session sent with NOTIFY. */
function notification(channel: string, payload: string, conversation: Conversation): ServerMessage {
  return {
    severity: 'NOTIFY',
    sqlState: SQL_STATE.successfulCompletion,
    message: `${conversation.text(channel)}: ${conversation.text(payload)}`,
    detail: undefined,
    hint: undefined,
    position: undefined,
  };
}
