/** Asks, in the transaction of a statement that is counted, what its counters say. */
import { decodeDataRow } from '../protocol/backend-messages.ts';
import { sendAside } from './probe.ts';
import { countersSql, type RowCounters, readCounters } from './row-counts.ts';
import type { StreamState } from './stream-state.ts';

/** @param onAnswer undefined: the server does not count. */
export function askCounters(
  state: StreamState,
  source: Parameters<typeof countersSql>[0],
  onAnswer: (counters: RowCounters | undefined) => void,
): void {
  const rows: (string | null)[][] = [];
  sendAside(state, {
    sql: countersSql(source),
    // A Sync would end the transaction that is counted.
    origin: 'aside',
    onRow: (message) => rows.push(decodeDataRow(message.subarray(5)).values.map(ascii)),
    onEnd: () => onAnswer(readCounters(rows)),
  });
}

function ascii(value: Uint8Array | null): string | null {
  return value === null ? null : Buffer.from(value).toString('latin1');
}
