/** The client's half of a recorded conversation: what it asked. */

import { ProtocolError } from '../../../errors.ts';
import type { Parameter } from '../../../replay/timeline.ts';
import {
  type Bind,
  decodeBind,
  decodeClose,
  decodeDescribe,
  decodeExecute,
  decodeParse,
  decodeQuery,
} from '../protocol/frontend-messages.ts';
import { FRONTEND } from '../protocol/message-types.ts';
import type { StartupPacket } from '../protocol/startup-packet.ts';
import { BYTES } from '../protocol/text-codec.ts';
import { type Conversation, type Place, remember } from './conversation.ts';
import { formatAt, type Portal, type Prepared } from './open-statement.ts';
import { showValue } from './show-value.ts';
import { typeName } from './type-names.ts';

export class ClientMessages {
  readonly #conversation: Conversation;

  constructor(conversation: Conversation) {
    this.#conversation = conversation;
  }

  startup(packet: StartupPacket, timeMs: number): void {
    if (packet.type !== 'StartupMessage') {
      throw new ProtocolError(`a connection that begins with ${packet.type}`);
    }
    const encoding = packet.parameters.get('client_encoding');
    if (encoding !== undefined) {
      this.#conversation.readAs(encoding);
    }
    this.#conversation.options.onStartup(packet.parameters, timeMs);
  }

  take(type: number, body: Uint8Array, place: Place): void {
    const conversation = this.#conversation;
    if (conversation.skipping && type !== FRONTEND.Sync) {
      this.#skipped(type, body, place);
      return;
    }
    switch (type) {
      case FRONTEND.Query:
        conversation.ask({ type: 'query', statement: this.#query(body, place) });
        return;
      case FRONTEND.FunctionCall: {
        const text = { shown: '', length: 0 };
        const statement = conversation.begin('function call', text, place);
        conversation.ask({ type: 'function', statement });
        return;
      }
      case FRONTEND.Parse:
        this.#parse(body, place);
        return;
      case FRONTEND.Bind:
        this.#bind(body, place);
        return;
      case FRONTEND.Describe: {
        const { what, name } = decodeDescribe(body, BYTES);
        conversation.ask({
          type: 'describe',
          prepared: what === 'statement' ? conversation.prepared.get(name) : undefined,
          portal: what === 'portal' ? conversation.portals.get(name) : undefined,
        });
        return;
      }
      case FRONTEND.Execute:
        this.#execute(body, place);
        return;
      case FRONTEND.Close: {
        const { what, name } = decodeClose(body, BYTES);
        (what === 'statement' ? conversation.prepared : conversation.portals).delete(name);
        conversation.ask({ type: 'close' });
        return;
      }
      case FRONTEND.Sync:
        this.#sync();
        return;
      case FRONTEND.CopyDone:
      case FRONTEND.CopyFail:
        conversation.copying = false;
        return;
      default:
        // Flush and Terminate ask for nothing; CopyData was counted by its header.
        return;
    }
  }

  #query(body: Uint8Array, place: Place) {
    const { sql } = decodeQuery(body, BYTES);
    return this.#conversation.begin('simple', this.#sqlText(sql), place);
  }

  #sqlText(latin1: string): { shown: string; length: number } {
    return { shown: this.#conversation.text(latin1), length: latin1.length };
  }

  #parse(body: Uint8Array, { at, timeMs }: Place): void {
    const conversation = this.#conversation;
    const { statement, sql, parameterTypes } = decodeParse(body, BYTES);
    const { shown, length } = this.#sqlText(sql);
    const prepared: Prepared = {
      name: conversation.text(statement),
      at,
      startMs: timeMs,
      text: shown,
      textLength: length,
      parameterTypes,
      fields: undefined,
      prompt: this.#conversation.options.prompt(),
      decisions: [],
      runs: 0,
      error: undefined,
    };
    remember(conversation.prepared, statement, prepared);
    conversation.parses.push(prepared);
    conversation.ask({ type: 'parse', prepared });
  }

  #bind(body: Uint8Array, { at }: Place): void {
    const conversation = this.#conversation;
    const bind = decodeBind(body, BYTES);
    const prepared = conversation.prepared.get(bind.statement);
    const portal: Portal = {
      prepared,
      at,
      parameters: this.#parameters(bind, prepared?.parameterTypes ?? []),
      resultFormats: bind.resultFormats,
      fields: undefined,
    };
    remember(conversation.portals, bind.portal, portal);
    conversation.ask({ type: 'bind', portal });
  }

  #parameters(bind: Bind, types: readonly number[]): Parameter[] {
    const { decode, options } = this.#conversation;
    return bind.parameters.map((value, index) => {
      const typeOid = types[index] ?? 0;
      const format = formatAt(bind.parameterFormats, index);
      const limit = options.limits.valueLength;
      return {
        type: typeName(typeOid),
        value: showValue(value, { format, typeOid, decode, limit }),
      };
    });
  }

  #execute(body: Uint8Array, place: Place): void {
    const conversation = this.#conversation;
    const portal = conversation.portals.get(decodeExecute(body, BYTES).portal);
    const prepared = portal?.prepared;
    if (prepared) {
      prepared.runs += 1;
    }
    const statement = conversation.begin(
      'extended',
      { shown: prepared?.text ?? '', length: prepared?.textLength ?? 0 },
      place,
      {
        prepared,
        parameters: portal?.parameters ?? [],
        offsets: [prepared?.at, portal?.at, place.at].filter((at) => at !== undefined),
      },
    );
    conversation.ask({ type: 'execute', statement, portal });
  }

  #sync(): void {
    const conversation = this.#conversation;
    conversation.skipping = false;
    if (!conversation.copying) {
      conversation.ask({ type: 'sync', parses: conversation.parses });
      conversation.parses = [];
    }
  }

  /** The server does not look at it; a statement among it is shown as such. */
  #skipped(type: number, body: Uint8Array, place: Place): void {
    const conversation = this.#conversation;
    if (type === FRONTEND.Query) {
      conversation.finish(this.#query(body, place), 'skipped', place.timeMs);
    } else if (type === FRONTEND.Parse) {
      const { sql } = decodeParse(body, BYTES);
      const statement = conversation.begin('extended', this.#sqlText(sql), place);
      conversation.finish(statement, 'skipped', place.timeMs);
    }
  }
}
