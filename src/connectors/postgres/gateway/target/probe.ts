/**
 * Asks the target, on the client's own connection, what it never reports: the schemas that names
 * are looked up in, the role, and (after code that may have changed them) the names of prepared
 * statements and cursors. The answers stay in the gateway.
 */
import { ProtocolError } from '../../../../errors.ts';
import { decodeDataRow } from '../../protocol/backend-messages.ts';
import {
  encodeBind,
  encodeClose,
  encodeExecute,
  encodeParse,
} from '../../protocol/frontend-messages.ts';
import type { StreamState } from '../wire/stream-state.ts';

/**
 * Names are qualified throughout, because the search_path in force is the client's. The unnamed
 * statement and portal belong to the client; a simple Query would destroy both.
 */
const PLACE = `SELECT 'role', current_user::pg_catalog.text, NULL
UNION ALL SELECT 'login', session_user::pg_catalog.text, NULL
UNION ALL SELECT 'temporary', pg_catalog.pg_my_temp_schema()::pg_catalog.text, NULL
UNION ALL SELECT 'schemas', pg_catalog.array_to_json(pg_catalog.current_schemas(true))::pg_catalog.text, NULL`;
const NAMES = `
UNION ALL SELECT 'statement', name, statement FROM pg_catalog.pg_prepared_statements
UNION ALL SELECT 'cursor', name, statement FROM pg_catalog.pg_cursors`;
const NAME = 'hoop_probe';

/**
 * Waits for every answer, then asks. Afterwards `settings.place` is known, or it could not be
 * asked: in a failed transaction, or because an error came first (then the state is `skipping`).
 */
export async function probe(state: StreamState): Promise<void> {
  const { settings, queue } = state;
  await state.waitForTarget(() => queue.length === 0);
  if (state.skipping || settings.transaction === 'failed') return;
  const withNames = settings.namesInDoubt;
  const rows: (readonly [string, string, string | undefined])[] = [];
  const answered = await askAside(state, PLACE + (withNames ? NAMES : ''));
  if (answered === undefined) return;
  for (const [kind, name, text] of answered) {
    if (typeof kind === 'string' && typeof name === 'string') {
      rows.push([kind, name, text ?? undefined]);
    }
  }
  const answer = (kind: string): string | undefined => rows.find(([one]) => one === kind)?.[1];
  const role = answer('role') ?? '';
  const isLoginRole = role === answer('login');
  const hasTemporary = (answer('temporary') ?? '0') !== '0';
  settings.learned({
    searchPath: schemaNames(answer('schemas')),
    role,
    isLoginRole,
    hasTemporary,
  });
  if (!withNames) return;
  settings.namesInDoubt = false;
  const sources = new Map(rows.map(([kind, name, text]) => [`${kind} ${name}`, text]));
  // The unnamed ones are out of reach of SQL; a name whose text is another one is another one.
  state.statements.retain(
    (name, { source }) => name === '' || sources.get(`statement ${name}`) === source,
  );
  state.portals.retain(
    (name, { statement }) => name === '' || sources.get(`cursor ${name}`) === statement.source,
  );
}

/**
 * One statement of the gateway's own, when nothing is unanswered.
 * @returns its rows; undefined: an error came first, or the transaction has failed.
 */
export async function askAside(
  state: StreamState,
  sql: string,
): Promise<readonly (readonly (string | null)[])[] | undefined> {
  const { settings, queue } = state;
  await state.waitForTarget(() => queue.length === 0);
  if (state.skipping || settings.transaction === 'failed') return undefined;
  const rows: (readonly (string | null)[])[] = [];
  let answered = false;
  sendAside(state, {
    sql,
    // Within a segment of the client a Sync of ours would end its transaction; elsewhere a missing
    // one would leave a transaction open.
    origin: state.segmentIsOpen ? 'aside' : 'own',
    onRow(message) {
      rows.push(decodeDataRow(message.subarray(5)).values.map(decodeText(state)));
    },
    onEnd() {
      answered = true;
    },
  });
  await state.release();
  await queue.wait(() => queue.length === 0);
  return answered && !state.skipping ? rows : undefined;
}

/** A statement of the gateway's own; with the origin `own` it has a Sync of its own. */
export function sendAside(
  state: StreamState,
  question: {
    readonly sql: string;
    readonly origin: 'aside' | 'own';
    readonly onRow: (dataRow: Uint8Array) => void;
    readonly onEnd: () => void;
  },
): void {
  const { sql, origin, onRow, onEnd } = question;
  const base = { origin, segment: state.segment } as const;
  const execute = { kind: 'execute', run: undefined, ...base } as const;
  state.send(encodeParse({ statement: NAME, sql, parameterTypes: [] }), {
    kind: 'parse',
    name: NAME,
    statement: undefined,
    ...base,
  });
  state.send(
    encodeBind({
      portal: NAME,
      statement: NAME,
      parameterFormats: [],
      parameters: [],
      resultFormats: [],
    }),
    { kind: 'bind', name: NAME, portal: undefined, ...base },
  );
  state.send(encodeExecute({ portal: NAME, maxRows: 0 }), { ...execute, onRow, onEnd });
  for (const what of ['portal', 'statement'] as const) {
    state.send(encodeClose({ what, name: NAME }), { kind: 'close', what, name: NAME, ...base });
  }
  if (origin === 'own') state.sendSync(undefined, 'own');
}

function schemaNames(json: string | undefined): readonly string[] {
  const names: unknown = JSON.parse(json ?? '[]');
  return Array.isArray(names) ? names.filter((name) => typeof name === 'string') : [];
}

function decodeText(state: StreamState): (value: Uint8Array | null) => string | null {
  return (value) => {
    if (value === null) return null;
    try {
      return state.codec.decode(value);
    } catch (error) {
      // A text that cannot be read equals none of ours: its name becomes unknown.
      if (error instanceof ProtocolError) return null;
      throw error;
    }
  };
}
