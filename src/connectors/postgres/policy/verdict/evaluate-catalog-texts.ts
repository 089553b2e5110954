/** Defaults, index predicates and the like are structure, except where they hold a value of a masked column. */

import type { Grant } from '../../../../policy/types.ts';
import { columnName } from '../../../../policy/words/describe-grant.ts';
import type { StatementAnalysis } from '../facts/analysis-types.ts';
import type { Catalog } from '../facts/catalog-types.ts';
import type { SqlRefusal } from '../facts/types.ts';
import { catalogTextsRead } from '../masks/catalog-text-kinds.ts';
import { refusal } from './evaluate-refusal.ts';

export function refuseCatalogTexts(
  analysis: StatementAnalysis,
  grant: Grant,
  catalog: Catalog,
): SqlRefusal | undefined {
  const texts = catalog.maskTexts ?? [];
  if (texts.length === 0 || grant.masks.length === 0) {
    return undefined;
  }
  for (const { kind, place } of catalogTextsRead(analysis, catalog)) {
    const found = texts
      .filter((text) => kind === undefined || text.kind === kind)
      .flatMap(({ mask: name, isUnread }) => {
        const mask = grant.masks.find((one) => columnName(one) === columnName(name));
        return mask ? [{ mask, isUnread }] : [];
      });
    // What is known comes first.
    const [first] = [...found.filter((one) => !one.isUnread), ...found];
    if (first) {
      const column = columnName(first.mask);
      return refusal(grant, {
        code: 'HOOP_DENIED',
        message: `${place} ${first.isUnread ? 'may show' : 'shows'} a value of masked column ${column}`,
        detail: first.isUnread
          ? 'The definitions around this column could not be read just now, so it is not known whether one holds a value of it.'
          : 'In this database, the definition shown there compares the column with a constant or assigns one.',
        hint: `${first.isUnread ? 'Try again, or omit' : 'Omit'} ${place} from the query.`,
        rule: first.mask.rule,
      });
    }
  }
  return undefined;
}
