/** One statement over a connection of its own, with no more of its result than asked for. */
import pg from 'pg';
import { onAbort } from '../until.ts';

export interface QueryRequest {
  /** With the password of the session's local port. */
  readonly url: string;
  readonly sql: string;
  readonly parameters: readonly (string | null)[];
  readonly maxRows: number;
  readonly signal: AbortSignal;
  /** Called for each notice of the server, or of hoop. */
  readonly onNotice: (notice: Report) => void;
}

export interface Bounded {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: readonly (readonly Cell[])[];
  /** E.g. `UPDATE 3`; undefined: there was more than was read. */
  readonly tag: string | undefined;
  readonly cut: readonly string[];
}

export type Cell = string | number | boolean | null;

/** Fields of an error or a notice. */
export interface Report {
  readonly code?: string | undefined;
  readonly message?: string | undefined;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly position?: string | undefined;
  /** The gateway's own code is there. */
  readonly routine?: string | undefined;
}

/** What a model reads of one answer, and of one value. Characters of JSON. */
export const MAX_ANSWER = 100_000;
const MAX_VALUE = 10_000;
/** Of a row with very many columns each still shows as much. */
const MIN_VALUE = 60;
/** Of all types there are hundreds; of others the OID is told. */
const TYPES: Readonly<Record<number, string>> = {
  16: 'bool',
  17: 'bytea',
  20: 'int8',
  21: 'int2',
  23: 'int4',
  25: 'text',
  114: 'json',
  700: 'float4',
  701: 'float8',
  1042: 'char',
  1043: 'varchar',
  1082: 'date',
  1114: 'timestamp',
  1184: 'timestamptz',
  1700: 'numeric',
  2950: 'uuid',
  3802: 'jsonb',
};

/** The portal is left where it stands: what comes behind is neither sent nor recorded. */
class FirstRows extends pg.Query {
  isSuspended = false;

  handlePortalSuspended(connection: { sync(): void }): void {
    this.isSuspended = true;
    connection.sync();
  }
}

/** @throws pg.DatabaseError, what the signal says, what the network says */
export async function boundedQuery(request: QueryRequest): Promise<Bounded> {
  const { url, sql, parameters, maxRows, signal, onNotice } = request;
  signal.throwIfAborted();
  const client = new pg.Client({ connectionString: url, application_name: 'hoop mcp' });
  const { promise, resolve, reject } = Promise.withResolvers<Bounded>();
  // Dropping it is what leaves a held statement waiting; a cancel would say the same.
  using _ = onAbort(signal, () => reject(signal.reason));
  client.on('error', reject);
  client.on('notice', onNotice);
  try {
    await Promise.race([client.connect(), promise]);
    const gathered = new Gathered(maxRows);
    const config = { text: sql, values: [...parameters], rows: maxRows + 1, rowMode: 'array' };
    const query = new FirstRows({
      ...config,
      types: { getTypeParser: () => (text: string) => text },
    });
    query.on('row', (row) => gathered.add(row));
    query.on('error', reject);
    query.on('end', (result) => resolve(gathered.end(result, query.isSuspended)));
    client.query(query);
    return await promise;
  } finally {
    client.on('error', () => undefined);
    client.end().catch(() => undefined);
    if (signal.aborted) client.connection.stream.destroy();
  }
}

type Result = Pick<pg.QueryArrayResult, 'fields' | 'command' | 'rowCount'>;

class Gathered {
  readonly #maxRows: number;
  readonly #rows: (string | null)[][] = [];
  #length = 0;
  #hasMore = false;
  #isFull = false;
  #shortened = 0;
  #most = MAX_VALUE;

  constructor(maxRows: number) {
    this.#maxRows = maxRows;
  }

  add(row: readonly (string | null)[]): void {
    if (this.#rows.length >= this.#maxRows || this.#isFull) {
      this.#hasMore = true;
      return;
    }
    // One row alone keeps to the bound as well: a table may have 1600 columns.
    const most = Math.min(MAX_VALUE, Math.max(MIN_VALUE, Math.floor(MAX_ANSWER / row.length)));
    const cells = row.map((value) => this.#shorten(value, most));
    const length = cells.reduce((sum, cell) => sum + (cell?.length ?? 4) + 3, 0);
    if (this.#rows.length > 0 && this.#length + length > MAX_ANSWER) {
      this.#isFull = true;
      this.#hasMore = true;
      return;
    }
    this.#length += length;
    this.#rows.push(cells);
  }

  end({ fields, command, rowCount }: Result, isSuspended: boolean): Bounded {
    const hasMore = this.#hasMore || isSuspended;
    const why = this.#isFull ? `an answer has ${MAX_ANSWER} characters` : 'as requested';
    const cut = [
      ...(hasMore
        ? [`these are the first ${this.#rows.length} rows (${why}); there are more`]
        : []),
      ...(this.#shortened > 0
        ? [`${this.#shortened} values have more than ${this.#most} characters and were shortened`]
        : []),
    ];
    return {
      columns: fields.map(({ name, dataTypeID }) => ({ name, type: typeName(dataTypeID) })),
      rows: this.#rows.map((row) => row.map((cell, at) => cellOf(cell, fields[at]?.dataTypeID))),
      tag: isSuspended ? undefined : [command, rowCount].filter((part) => part !== null).join(' '),
      cut,
    };
  }

  #shorten(value: string | null, most: number): string | null {
    if (value === null || value.length <= most) return value;
    this.#shortened += 1;
    this.#most = most;
    return `${value.slice(0, most).toWellFormed()}…`;
  }
}

function typeName(oid: number): string {
  return TYPES[oid] ?? `oid ${oid}`;
}

/** What JSON holds exactly; all else, numeric and int8 too, as PostgreSQL writes it. */
function cellOf(text: string | null, oid: number | undefined): Cell {
  if (text === null) return null;
  if (oid === 16) return text === 't';
  const isSmall = oid === 21 || oid === 23;
  return isSmall && /^-?\d+$/.test(text) ? Number(text) : text;
}
