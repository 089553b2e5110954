import { MessageReader } from './message-reader.ts';
import { BACKEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

/**
 * Byte1('A') · Int32 length · Int32 process ID of the notifier · String channel · String payload
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-NOTIFICATIONRESPONSE
 */
export interface NotificationResponse {
  readonly type: 'NotificationResponse';
  readonly processId: number;
  readonly channel: string;
  readonly payload: string;
}

export function decodeNotificationResponse(
  body: Uint8Array,
  text: TextCodec = UTF8,
): NotificationResponse {
  const reader = new MessageReader('NotificationResponse', body);
  const processId = reader.i32();
  const channel = reader.cstring(text);
  const payload = reader.cstring(text);
  reader.end();
  return { type: 'NotificationResponse', processId, channel, payload };
}

export function encodeNotificationResponse(
  message: Omit<NotificationResponse, 'type'>,
  text: TextCodec = UTF8,
): Uint8Array {
  return new MessageWriter(BACKEND.NotificationResponse)
    .i32(message.processId)
    .cstring(message.channel, text)
    .cstring(message.payload, text)
    .finish();
}
