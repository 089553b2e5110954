import type { StatementAnalysis } from '../policy/analysis-types.ts';
import type { CatalogRelation } from '../policy/catalog-types.ts';
import type { ApprovalAsk } from './types.ts';

const ESTIMABLE = new Set(['select', 'insert', 'update', 'delete', 'merge', 'values']);

/** @returns why planning this could run more than built-in code, or cannot be done; as a phrase. */
export function whyNotEstimated(ask: ApprovalAsk): string | undefined {
  const { analyses, prepared, parameters, searchPath, catalog } = ask;
  const [analysis] = analyses;
  if (analysis === undefined || analyses.length > 1) return 'there are several statements';
  if (prepared.length > 0 || !ESTIMABLE.has(analysis.verb)) {
    return `EXPLAIN does not plan ${analysis.verb.toUpperCase()}`;
  }
  if (searchPath === undefined) return 'it is not known where its names are looked up';
  if (parameters.some(({ format }) => format === 'hex')) return 'its parameters are binary';
  return runsOwnCode(analysis, ask) ?? relationsRunCode(analysis, catalog);
}

function runsOwnCode(analysis: StatementAnalysis, { catalog }: ApprovalAsk): string | undefined {
  const { protocol, functions, opaque, serverAccess } = analysis;
  if (opaque.length > 0 || serverAccess.length > 0 || protocol.changesCatalog) {
    return 'it cannot be seen into';
  }
  for (const { name, builtIn } of functions) {
    if (!builtIn) return `the function ${name} is not built in`;
    const known = catalog.functions('pg_catalog', name);
    if (known.length === 0 || known.some(({ volatility }) => volatility === 'v')) {
      return `the function ${name} is volatile`;
    }
  }
  return protocol.runsUserCode ? 'code that is not built in runs with it' : undefined;
}

function relationsRunCode(
  { reads, writes }: StatementAnalysis,
  catalog: ApprovalAsk['catalog'],
): string | undefined {
  const seen = new Set<number>();
  const queue = [...reads, ...writes].map(({ oid }) => oid);
  for (let oid = queue.pop(); oid !== undefined; oid = queue.pop()) {
    if (seen.has(oid)) continue;
    seen.add(oid);
    const relation = catalog.relationByOid(oid);
    if (relation === undefined) return 'a relation is not known';
    const why = relationRunsCode(relation);
    if (why !== undefined) return why;
    queue.push(...catalog.childrenOf(oid).map((child) => child.oid));
  }
  return undefined;
}

function relationRunsCode(relation: CatalogRelation): string | undefined {
  const { kind, name, rowSecurity, hasTriggersOrRules } = relation;
  if (kind !== 'r' && kind !== 'p') return `${name} is not a table`;
  if (rowSecurity) return `${name} has row security`;
  return hasTriggersOrRules ? `${name} has code of its own` : undefined;
}
