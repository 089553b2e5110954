import type { Catalog } from '../../../../src/connectors/postgres/policy/facts/catalog-types.ts';

/** A catalog that knows nothing: what a script does not say is not known either. */
export function emptyCatalog(generation = 1): Catalog {
  return {
    generation,
    majorVersion: 18,
    database: 'postgres',
    relation: () => undefined,
    relationByOid: () => undefined,
    childrenOf: () => [],
    functions: () => [],
    type: () => undefined,
    typeByOid: () => undefined,
    operators: () => [],
    castContexts: new Map(),
    userCasts: [],
    schemas: [],
  };
}
