/** A trigger of the catalog, and its function → what both do with a row. */
import type { CatalogFunction } from '../../policy/facts/catalog-types.ts';
import { as, namesOf } from '../../policy/parse/tree.ts';
import { knownTrigger } from '../../policy/triggers/known-triggers.ts';
import type { TriggerBody, TriggerEffect } from '../../policy/triggers/trigger-body.ts';
import type { TriggerSource } from './trigger-source.ts';

/** @returns undefined: it could do anything. */
export function triggerEffect(trigger: {
  readonly called: CatalogFunction;
  readonly source: TriggerSource | undefined;
  /** Of a function in PL/pgSQL. */
  readonly body: TriggerBody | undefined;
  /** It has a WHEN or arguments: then the parser's tree of CREATE TRIGGER is needed. */
  readonly hasDefinition: boolean;
  readonly definition: unknown;
}): TriggerEffect | undefined {
  const { called, source, hasDefinition } = trigger;
  const definition = definitionOf(trigger.definition);
  if (hasDefinition && definition === undefined) return undefined;
  const body = trigger.body ?? knownTrigger(called, source, namesOf(definition?.args) ?? []);
  const when = definition?.whenClause;
  return body && { body, ...(when ? { when } : {}) };
}

function definitionOf(tree: unknown) {
  const stmts: unknown =
    typeof tree === 'object' && tree !== null && 'stmts' in tree ? tree.stmts : undefined;
  const [first] = Array.isArray(stmts) ? stmts : [];
  return as(first?.stmt, 'CreateTrigStmt');
}
