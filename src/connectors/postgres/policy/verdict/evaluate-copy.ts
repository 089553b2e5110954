/** COPY … TO STDOUT where values are masked or rows counted: its data must be readable. */

import type { Grant } from '../../../../policy/types.ts';
import { SQL_STATE } from '../../sql-state.ts';
import type { StatementAnalysis } from '../facts/analysis-types.ts';
import type { Catalog } from '../facts/catalog-types.ts';
import type { OutputMask, SqlRefusal } from '../facts/types.ts';
import { refusal, sqlRefusal } from './evaluate-refusal.ts';
import { builtin } from './guards.ts';

/** What the server copies from itself, by relkind, and since which version: BeginCopyTo. */
const NOT_COPIED = new Map([
  ['v', { what: 'view', since: Number.POSITIVE_INFINITY, asQuery: true }],
  ['m', { what: 'materialized view', since: 18, asQuery: true }],
  ['f', { what: 'foreign table', since: Number.POSITIVE_INFINITY, asQuery: true }],
  ['S', { what: 'sequence', since: Number.POSITIVE_INFINITY, asQuery: false }],
  ['p', { what: 'partitioned table', since: 19, asQuery: true }],
]);

export function refuseCopyOut(
  analysis: StatementAnalysis,
  grant: Grant,
  outputs: readonly (OutputMask | undefined)[] | undefined,
  catalog: Catalog,
): SqlRefusal | undefined {
  const { copy } = analysis.protocol;
  // What goes to the server's own files does not come by here.
  if (copy?.direction !== 'out' || analysis.serverAccess.length > 0) {
    return undefined;
  }
  const masked = outputs?.find((mask) => mask !== undefined);
  const isGuarded = masked !== undefined || grant.masks.length + grant.detectors.length > 0;
  const isRead = masked !== undefined || grant.detectors.length > 0;
  const isCounted = grant.limits.maxRows !== undefined;
  if (!isGuarded && !isCounted) {
    return undefined;
  }
  const wrongKind = refuseKind(analysis, catalog);
  if (wrongKind) {
    return wrongKind;
  }
  const rule = masked?.rule ?? builtin('copy-out');
  if (isGuarded && (outputs === undefined || copy.source === undefined)) {
    return refusal(grant, {
      code: 'HOOP_UNTRACEABLE',
      message: 'COPY cannot be masked: its text does not show what it copies',
      hint: 'Write it as COPY (SELECT …) TO STDOUT.',
      rule,
    });
  }
  if ((isRead || isCounted) && copy.options === undefined) {
    return refusal(grant, {
      code: 'HOOP_UNTRACEABLE',
      message: `COPY cannot be ${isRead ? 'masked' : 'counted'} with these options`,
      detail:
        'One of them is unknown, repeated, wrong or not for COPY TO, so hoop cannot read the data.',
      hint: 'Use FORMAT, DELIMITER, NULL, HEADER, QUOTE, ESCAPE, FORCE_QUOTE and ENCODING as PostgreSQL documents them.',
      rule,
    });
  }
  return undefined;
}

/** In the server's words, since its own error would be withheld as one that may show a value. */
function refuseKind({ protocol }: StatementAnalysis, catalog: Catalog): SqlRefusal | undefined {
  const source = protocol.copy?.source;
  const relation = source?.type === 'table' ? catalog.relationByOid(source.oid) : undefined;
  const kind = NOT_COPIED.get(relation?.kind ?? '');
  if (relation === undefined || kind === undefined || catalog.majorVersion >= kind.since) {
    return undefined;
  }
  return sqlRefusal(
    {
      code: 'HOOP_UNTRACEABLE',
      message: `cannot copy from ${kind.what} "${relation.name}"`,
      hint: kind.asQuery ? 'Try the COPY (SELECT ...) TO variant.' : undefined,
    },
    SQL_STATE.wrongObjectType,
  );
}
