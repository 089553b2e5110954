/** Recorded streams of PostgreSQL: statements, and what the gateway said of each. */
import type { ReplayConnector, StreamContext, StreamDecoder } from '../../../replay/connector.ts';
import { ConnectionDecoder } from './connection-decoder.ts';
import { StatementLedger } from './statement-ledger.ts';

export const postgresReplay: ReplayConnector = {
  // A CancelRequest is an event of its own.
  open: (kind, context) => (kind === 'cancel' ? undefined : openConnection(context)),
};

function openConnection(context: StreamContext): StreamDecoder {
  const { stream, emit } = context;
  const ledger = new StatementLedger(emit);
  const decoder = new ConnectionDecoder({
    ...context,
    onStartup: (parameters, timeMs) =>
      emit({
        type: 'connection.open',
        timeMs,
        stream,
        user: parameters.get('user'),
        database: parameters.get('database'),
        application: parameters.get('application_name'),
      }),
    onBegin: (statement) => ledger.begin(statement),
    onEnd: (statement) => ledger.finish(statement),
    onNotice: emit,
  });
  return {
    up: (bytes, timeMs) => decoder.up(bytes, timeMs),
    down: (bytes, timeMs) => decoder.down(bytes, timeMs),
    event: (event) => {
      if (event.type === 'decision') {
        ledger.decision(event);
      } else if (event.type === 'result') {
        ledger.result(event);
      } else if (event.type === 'lookups') {
        ledger.lookups(event);
      }
    },
    approval: (at, step) => ledger.approval(at, step),
    end: () => {
      decoder.end();
      ledger.end();
    },
  };
}
