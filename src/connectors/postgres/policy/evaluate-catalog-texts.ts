/** Defaults, index predicates and the like are structure, except where they hold a value of a masked column. */
import { columnName } from '../../../policy/describe-grant.ts';
import type { Grant } from '../../../policy/types.ts';
import type { StatementAnalysis } from './analysis-types.ts';
import { catalogTextsRead } from './catalog-text-kinds.ts';
import type { Catalog } from './catalog-types.ts';
import { refusal } from './evaluate-refusal.ts';
import type { SqlRefusal } from './types.ts';

export function refuseCatalogTexts(
  analysis: StatementAnalysis,
  grant: Grant,
  catalog: Catalog,
): SqlRefusal | undefined {
  const texts = catalog.maskTexts ?? [];
  if (texts.length === 0 || grant.masks.length === 0) {
    return undefined;
  }
  for (const { kind, place } of catalogTextsRead(analysis)) {
    const masked = texts
      .filter((text) => text.kind === kind)
      .flatMap(
        (text) => grant.masks.find((mask) => columnName(mask) === columnName(text.mask)) ?? [],
      );
    const [mask] = masked;
    if (mask) {
      return refusal(grant, {
        code: 'HOOP_DENIED',
        message: `${place} shows a value of masked column ${columnName(mask)}`,
        detail:
          'In this database, the definition shown there compares the column with a constant or assigns one.',
        hint: `Omit ${place} from the query.`,
        rule: mask.rule,
      });
    }
  }
  return undefined;
}
