/** Builds what a recording holds, message by message, for tests. */
import {
  encodeBackendKeyData,
  encodeCommandComplete,
  encodeDataRow,
  encodeParameterStatus,
  encodeReadyForQuery,
  encodeRowDescription,
} from '../../src/connectors/postgres/protocol/backend-messages.ts';
import {
  encodeEmptyBackend,
  encodeEmptyFrontend,
} from '../../src/connectors/postgres/protocol/empty-messages.ts';
import {
  encodeBind,
  encodeDescribe,
  encodeExecute,
  encodeParse,
  encodeQuery,
} from '../../src/connectors/postgres/protocol/frontend-messages.ts';
import {
  encodeErrorResponse,
  encodeNoticeResponse,
  type Report,
  reportFields,
} from '../../src/connectors/postgres/protocol/report-fields.ts';
import { encodeStartupMessage } from '../../src/connectors/postgres/protocol/startup-packet.ts';
import type { RecordingEvent } from '../../src/recording/formats/types.ts';
import type { EvidenceLine } from '../../src/recording/verify/evidence-lines.ts';
import type { RecordedItem } from '../../src/replay/build-timeline.ts';

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** AuthenticationOk: there is no encoder, because only a server sends it. */
const AUTHENTICATION_OK = Uint8Array.of(0x52, 0, 0, 0, 8, 0, 0, 0, 0);

export class RecordedStream {
  readonly items: RecordedItem[] = [];
  readonly stream: number;
  #up = 0;
  #down = 0;
  #timeMs: number;

  constructor(stream = 1, startMs = Date.UTC(2026, 0, 1)) {
    this.stream = stream;
    this.#timeMs = startMs;
  }

  /** Offset of the next message of the client. */
  get upOffset(): number {
    return this.#up;
  }

  wait(ms: number): this {
    this.#timeMs += ms;
    return this;
  }

  up(...messages: Uint8Array[]): this {
    const bytes = new Uint8Array(Buffer.concat(messages));
    this.#data(0, this.#up, bytes);
    this.#up += bytes.length;
    return this;
  }

  down(...messages: Uint8Array[]): this {
    const bytes = new Uint8Array(Buffer.concat(messages));
    this.#data(1, this.#down, bytes);
    this.#down += bytes.length;
    return this;
  }

  event(event: RecordingEvent): this {
    this.items.push({ type: 'event', timeMs: this.#timeMs, event });
    return this;
  }

  evidence(line: EvidenceLine): this {
    this.items.push({ type: 'evidence', timeMs: this.#timeMs, line });
    return this;
  }

  start(parameters: Readonly<Record<string, string>> = {}): this {
    const all = { user: 'hoop', database: 'shop', application_name: 'psql', ...parameters };
    return this.event({ type: 'stream.open', stream: this.stream, kind: 'postgres' })
      .up(
        encodeStartupMessage({
          majorVersion: 3,
          minorVersion: 0,
          parameters: new Map(Object.entries(all)),
        }),
      )
      .down(
        AUTHENTICATION_OK,
        encodeParameterStatus({ name: 'client_encoding', value: 'UTF8' }),
        encodeBackendKeyData({ processId: 7, secretKey: utf8('KEY!') }),
        ready(),
      );
  }

  decision(at: number, fields: Partial<Extract<RecordingEvent, { type: 'decision' }>> = {}): this {
    return this.event({
      type: 'decision',
      stream: this.stream,
      at,
      statement: 1,
      effect: 'allow',
      verbs: ['select'],
      relations: ['public.users'],
      columnsMasked: [],
      rules: [{ id: 'engineers/read', file: 'policies/engineers.yaml', line: 12 }],
      code: undefined,
      message: undefined,
      policyCommit: '0123456789abcdef0123456789abcdef01234567',
      ...fields,
    });
  }

  result(at: number, fields: Partial<Extract<RecordingEvent, { type: 'result' }>> = {}): this {
    return this.event({
      type: 'result',
      stream: this.stream,
      at,
      statement: 1,
      rows: 0,
      maskedValues: 0,
      detected: {},
      tag: undefined,
      sqlState: undefined,
      ...fields,
    });
  }

  #data(direction: 0 | 1, offset: number, bytes: Uint8Array): void {
    this.items.push({
      type: 'data',
      piece: { timeMs: this.#timeMs, stream: this.stream, direction, offset, bytes },
    });
  }
}

export const query = (sql: string) => encodeQuery({ sql });
export const sync = () => encodeEmptyFrontend('Sync');
export const parse = (sql: string, statement = '', parameterTypes: number[] = []) =>
  encodeParse({ statement, sql, parameterTypes });
export const bind = (
  parameters: (string | Uint8Array | null)[] = [],
  {
    statement = '',
    portal = '',
    parameterFormats = [] as number[],
    resultFormats = [] as number[],
  } = {},
) =>
  encodeBind({
    portal,
    statement,
    parameterFormats,
    parameters: parameters.map((value) => (typeof value === 'string' ? utf8(value) : value)),
    resultFormats,
  });
export const describePortal = (name = '') => encodeDescribe({ what: 'portal', name });
export const describeStatement = (name = '') => encodeDescribe({ what: 'statement', name });
export const execute = (portal = '', maxRows = 0) => encodeExecute({ portal, maxRows });

export const ready = () => encodeReadyForQuery({ status: 'idle' });
export const parseComplete = () => encodeEmptyBackend('ParseComplete');
export const bindComplete = () => encodeEmptyBackend('BindComplete');
export const noData = () => encodeEmptyBackend('NoData');
export const complete = (tag: string) => encodeCommandComplete({ tag });
export const suspended = () => encodeEmptyBackend('PortalSuspended');
/** @param columns name and type OID; binary when the format is 1. */
export const columns = (
  ...columns: (readonly [name: string, typeOid: number, format?: number])[]
) =>
  encodeRowDescription({
    fields: columns.map(([name, typeOid, format = 0]) => ({
      name,
      tableOid: 0,
      columnNumber: 0,
      typeOid,
      typeSize: -1,
      typeModifier: -1,
      format,
    })),
  });
export const row = (...values: (string | Uint8Array | null)[]) =>
  encodeDataRow({
    values: values.map((value) => (typeof value === 'string' ? utf8(value) : value)),
  });
export const error = (sqlState: string, message: string, more: Partial<Report> = {}) =>
  encodeErrorResponse({
    fields: reportFields({ severity: 'ERROR', sqlState, message, ...more }),
  });
export const notice = (message: string) =>
  encodeNoticeResponse({
    fields: reportFields({ severity: 'NOTICE', sqlState: '00000', message }),
  });
