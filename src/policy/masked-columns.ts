/** The columns that the policy masks on a target, for anybody: those that must be found in its database. */
import { documentCovers } from './match.ts';
import type { Policy, PolicyTarget } from './policy.ts';
import type { ColumnMask } from './types.ts';

export type MaskedColumn = Pick<ColumnMask, 'schema' | 'relation' | 'column'>;

export function maskedColumns(policy: Policy, target: PolicyTarget): MaskedColumn[] {
  const documents = [...policy.documents, ...policy.agents.values()];
  const columns = new Map<string, MaskedColumn>();
  for (const document of documents) {
    if (!target.hasStatements || !documentCovers(document, target)) {
      continue;
    }
    for (const { schema, relation, column } of document.masks) {
      columns.set(JSON.stringify([schema, relation, column]), { schema, relation, column });
    }
  }
  return [...columns.values()];
}

/** @returns undefined: there is no policy, so nothing is known. */
export function maskedOn(
  policy: Policy | undefined,
  targetName: string,
): readonly MaskedColumn[] | undefined {
  const target = policy?.targets.get(targetName);
  return policy && (target === undefined ? [] : maskedColumns(policy, target));
}
