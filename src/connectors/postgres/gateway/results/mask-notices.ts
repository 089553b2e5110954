/**
 * Tells who reads masked columns that they are masked, once for each column of a connection: a tool
 * that exports rows would otherwise end well with values that are none. Not once for each relation:
 * what is read of it first may have other columns than what is exported.
 */
import { qualifiedName } from '../../../../policy/patterns.ts';
import type { ColumnFact } from '../../policy/facts/analysis-types.ts';
import { maskedSystemColumn } from '../../policy/facts/system-relations.ts';
import type { AllowedStatement, OutputMask } from '../../policy/facts/types.ts';
import type { TextCodec } from '../../protocol/text-codec.ts';
import { SQL_STATE } from '../../sql-state.ts';
import { encodeNotice } from '../wire/encode-notice.ts';

/** Its values are not looked at by the server: any name of two parts can be set. */
const SETTING = 'hoop.notices';
const OFF: ReadonlySet<string> = new Set(['off', 'false', 'no', '0']);
const MAX_COLUMNS = 20;

export class MaskNotices {
  #isOn: boolean;
  readonly #told = new Set<string>();

  /** @param isOn as the policy says */
  constructor(isOn: boolean) {
    this.#isOn = isOn;
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** A statement is sent. It counts at once: what is at stake is a notice. */
  sent({ analysis }: AllowedStatement): void {
    for (const { name, value, reset } of analysis.protocol.settings ?? []) {
      if (name === SETTING) this.#isOn = reset === true || !OFF.has((value ?? '').toLowerCase());
    }
  }

  /** @returns the notice in front of a result; undefined: there is nothing new to say. */
  about({ analysis, masks }: AllowedStatement, codec: TextCodec): Uint8Array | undefined {
    if (!this.#isOn || masks === undefined) return undefined;
    const columns = masks
      .flatMap((mask) => mask?.columns.map((column) => ({ ...column, ...shownAs(mask) })) ?? [])
      // Not its partitions and children, which have the same column.
      .filter(({ oid }) => analysis.reads.some((read) => read.oid === oid))
      .filter((column) => !this.#told.has(keyOf(column)));
    if (columns.length === 0) return undefined;
    for (const column of columns) this.#told.add(keyOf(column));
    const names = [
      ...new Set(
        columns.map((one) => `${qualifiedName(one.schema, one.name)}.${one.column} (${one.shown})`),
      ),
    ];
    const shown = names.slice(0, MAX_COLUMNS).join(', ');
    const more = names.length > MAX_COLUMNS ? ` and ${names.length - MAX_COLUMNS} more` : '';
    return encodeNotice(
      {
        severity: 'NOTICE',
        sqlState: SQL_STATE.successfulCompletion,
        message: `masked for you in this result: ${shown}${more}`,
        detail: reasons(columns).join(' ') || undefined,
      },
      codec,
    );
  }
}

function keyOf({ oid, attnum }: ColumnFact): string {
  return `${oid}.${attnum}`;
}

/** Of system views: no policy names these columns. */
function reasons(columns: readonly ColumnFact[]): readonly string[] {
  const sentences = columns.flatMap((column) => {
    const reason = maskedSystemColumn(column);
    return reason === undefined ? [] : `${column.name} ${reason}.`;
  });
  return [...new Set(sentences)];
}

function shownAs({ mask, document }: OutputMask): { readonly shown: string } {
  return { shown: document === undefined ? mask : 'in a document' };
}
