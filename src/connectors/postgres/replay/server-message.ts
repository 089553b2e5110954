/** What the server says beside results, as text. */

import type { ServerMessage } from '../../../replay/timeline.ts';
import { REPORT_FIELD, type ReportFields } from '../protocol/report-fields.ts';
import { SQL_STATE } from '../sql-state.ts';
import type { Conversation } from './conversation.ts';

/** ErrorResponse or NoticeResponse. @param fields one character per byte */
export function serverMessage(fields: ReportFields, conversation: Conversation): ServerMessage {
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
export function notification(
  channel: string,
  payload: string,
  conversation: Conversation,
): ServerMessage {
  return {
    severity: 'NOTIFY',
    sqlState: SQL_STATE.successfulCompletion,
    message: `${conversation.text(channel)}: ${conversation.text(payload)}`,
    detail: undefined,
    hint: undefined,
    position: undefined,
  };
}
