/** What is said of a COPY TO STDOUT that cannot be masked, and of one that is. */

import type { AllowedStatement, SqlRefusal } from '../../policy/facts/types.ts';
import { sqlRefusal } from '../../policy/verdict/evaluate-refusal.ts';
import type { TextCodec } from '../../protocol/text-codec.ts';
import { SQL_STATE } from '../../sql-state.ts';
import { encodeNotice } from '../wire/encode-notice.ts';

/** Names in a warning; a table has up to 1600 columns. */
const MAX_NAMES = 50;

/** The target has described other columns than those that were checked. */
export function changedCopy(detail: string): SqlRefusal {
  return sqlRefusal({
    code: 'HOOP_RESULT_MISMATCH',
    message: 'copy withheld: its columns are not those that were checked',
    detail,
    hint: 'The tables may have changed a moment ago. Try again.',
  });
}

export function otherEncoding(encoding: string, connection: string): SqlRefusal {
  return sqlRefusal({
    code: 'HOOP_ENCODING',
    message: `COPY in encoding ${encoding} cannot be read on a connection in ${connection}`,
    detail: 'hoop must read values to mask or count them, and reads them in client_encoding.',
    hint: `Omit ENCODING, and run SET client_encoding = '${encoding}' first if possible.`,
  });
}

export function unreadableEncoding(connection: string): SqlRefusal {
  return sqlRefusal({
    code: 'HOOP_ENCODING',
    message: `COPY in encoding ${connection} cannot be masked or counted`,
    detail:
      'In this encoding a byte of a multibyte character can look like a quote or a backslash.',
    hint: 'Run SET client_encoding = UTF8, or use FORMAT binary.',
  });
}

export function encodingInDoubt(): SqlRefusal {
  return sqlRefusal({
    code: 'HOOP_SETTING',
    message: 'COPY cannot be read reliably in this pipeline',
    detail:
      'An earlier statement may have changed client_encoding, and the server reports that only at the end of the pipeline.',
    hint: 'Send it after the answer to Sync.',
  });
}

export function copyBehindOthers(): SqlRefusal {
  return sqlRefusal({
    code: 'HOOP_UNTRACEABLE',
    message: 'COPY cannot be masked after these statements in one text',
    detail:
      'hoop determines what it copies before any of the text runs, and an earlier statement may change that.',
    hint: 'Send COPY as a separate statement.',
  });
}

export function grantChanged(): SqlRefusal {
  return sqlRefusal({
    code: 'HOOP_DENIED',
    message: 'the policy changed while the COPY was checked',
    detail: 'It has not run.',
    hint: 'Send it again.',
  });
}

/** Whoever restores a dump takes its values for real. */
export function maskedDump(application: string, columns: readonly string[]): SqlRefusal {
  return sqlRefusal({
    code: 'HOOP_DENIED',
    message: `${application} would write masked values as if they were real`,
    detail: `Masked for you: ${listed(columns)}. A dump does not show that its values are masks.`,
    hint: `Dump as someone for whom nothing is masked, or exclude the table (--exclude-table-data). For an intentionally masked dump, set another name: PGAPPNAME=masked-dump ${application} …`,
  });
}

/** WARNING in front of the data; undefined: nothing in it is masked by a rule. */
export function maskedWarning(
  statement: AllowedStatement,
  codec: TextCodec,
): Uint8Array | undefined {
  const columns = maskedColumns(statement);
  if (columns.length === 0) return undefined;
  const verb = columns.length === 1 ? 'column is' : 'columns are';
  return encodeNotice(
    {
      severity: 'WARNING',
      sqlState: SQL_STATE.warning,
      message: `${columns.length} ${verb} masked in this copy: ${listed(columns)}`,
      detail: 'The copied values are not the ones in the table.',
      hint: undefined,
    },
    codec,
  );
}

/** Table columns whose values are masked in it, named once. */
export function maskedColumns({ masks }: AllowedStatement): readonly string[] {
  const columns = (masks ?? []).flatMap((mask) => mask?.columns ?? []);
  return [...new Set(columns.map((one) => `${one.schema}.${one.name}.${one.column}`))];
}

function listed(columns: readonly string[]): string {
  const more = columns.length - MAX_NAMES;
  return `${columns.slice(0, MAX_NAMES).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
