/** Messages of the frontend as data: a script can be shown, cut down and changed before it is sent. */

import { encodeEmptyFrontend } from '../../src/connectors/postgres/protocol/empty-messages.ts';
import {
  encodeBind,
  encodeClose,
  encodeDescribe,
  encodeExecute,
  encodeParse,
  encodeQuery,
} from '../../src/connectors/postgres/protocol/frontend-messages.ts';

export type Message =
  | { readonly kind: 'query'; readonly sql: string }
  | {
      readonly kind: 'parse';
      readonly sql: string;
      readonly statement: string;
      readonly types: readonly number[];
    }
  | {
      readonly kind: 'bind';
      readonly portal: string;
      readonly statement: string;
      readonly values: readonly (string | null)[];
      readonly formats: readonly number[];
    }
  | { readonly kind: 'describe' | 'close'; readonly what: What; readonly name: string }
  | { readonly kind: 'execute'; readonly portal: string; readonly maxRows: number }
  | { readonly kind: 'sync' | 'flush' | 'copyDone' | 'terminate' }
  | { readonly kind: 'copyData' | 'copyFail'; readonly text: string }
  /** Anything, well formed or not. */
  | { readonly kind: 'bytes'; readonly type: string; readonly body: Uint8Array };

export type What = 'statement' | 'portal';

export const query = (sql: string): Message => ({ kind: 'query', sql });
export const parse = (sql: string, statement = '', types: readonly number[] = []): Message => ({
  kind: 'parse',
  sql,
  statement,
  types,
});
export const bind = (
  options: {
    readonly portal?: string;
    readonly statement?: string;
    readonly values?: readonly (string | null)[];
    readonly formats?: readonly number[];
  } = {},
): Message => ({
  kind: 'bind',
  portal: options.portal ?? '',
  statement: options.statement ?? '',
  values: options.values ?? [],
  formats: options.formats ?? [],
});
export const describe = (what: What, name = ''): Message => ({ kind: 'describe', what, name });
export const close = (what: What, name = ''): Message => ({ kind: 'close', what, name });
export const execute = (portal = '', maxRows = 0): Message => ({
  kind: 'execute',
  portal,
  maxRows,
});
export const sync: Message = { kind: 'sync' };
export const flush: Message = { kind: 'flush' };
export const copyDone: Message = { kind: 'copyDone' };
export const terminate: Message = { kind: 'terminate' };
export const copyData = (text: string): Message => ({ kind: 'copyData', text });
export const copyFail = (text = 'no more'): Message => ({ kind: 'copyFail', text });
export const bytes = (type: string, body: Uint8Array): Message => ({ kind: 'bytes', type, body });
/** Parse, Bind and Execute of one statement. */
export const run = (sql: string, values: readonly (string | null)[] = []): readonly Message[] => [
  parse(sql),
  bind({ values }),
  execute(),
];

export function encode(message: Message): Uint8Array {
  switch (message.kind) {
    case 'query':
      return encodeQuery({ sql: message.sql });
    case 'parse':
      return encodeParse({
        statement: message.statement,
        sql: message.sql,
        parameterTypes: message.types,
      });
    case 'bind':
      return encodeBind({
        portal: message.portal,
        statement: message.statement,
        parameterFormats: [],
        parameters: message.values.map((value) => (value === null ? null : Buffer.from(value))),
        resultFormats: message.formats,
      });
    case 'describe':
      return encodeDescribe(message);
    case 'close':
      return encodeClose(message);
    case 'execute':
      return encodeExecute(message);
    case 'sync':
      return encodeEmptyFrontend('Sync');
    case 'flush':
      return encodeEmptyFrontend('Flush');
    case 'copyDone':
      return encodeEmptyFrontend('CopyDone');
    case 'terminate':
      return encodeEmptyFrontend('Terminate');
    case 'copyData':
      return framed('d', Buffer.from(message.text));
    case 'copyFail':
      return framed('f', Buffer.from(`${message.text}\0`));
    case 'bytes':
      return framed(message.type, message.body);
  }
}

export function framed(type: string, body: Uint8Array): Uint8Array {
  const head = Buffer.alloc(5);
  head.write(type, 'latin1');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

/** One line, for a report. */
export function show(message: Message): string {
  const { kind, ...rest } = message;
  const parts = Object.values(rest).map((value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('hex').slice(0, 60) : value,
  );
  return [kind, ...parts.map((part) => JSON.stringify(part))].join(' ');
}
