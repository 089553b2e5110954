/** What the engine decides with in production: the policy over the catalog of a test's own server. */
import { afterAll, beforeAll } from 'vitest';
import { openCatalogSource } from '../../../../src/connectors/postgres/gateway/catalog/catalog-reader.ts';
import {
  connectTarget,
  type TargetConnection,
} from '../../../../src/connectors/postgres/gateway/target/target-connection.ts';
import type {
  CatalogSource,
  PostgresTarget,
} from '../../../../src/connectors/postgres/gateway/types.ts';
import { SqlParser } from '../../../../src/connectors/postgres/policy/parse/parser.ts';
import { createStatementPolicy } from '../../../../src/connectors/postgres/policy/parse/statement-policy.ts';
import type { TriggerBody } from '../../../../src/connectors/postgres/policy/triggers/trigger-body.ts';

export interface RealEngine {
  /** For `startBench`; a policy of its own each time, the catalog shared. */
  readonly parts: () => {
    readonly policy: ReturnType<typeof createStatementPolicy>;
    readonly catalog: CatalogSource;
  };
}

export function catalogOf(
  connection: TargetConnection,
  parser: SqlParser,
  now = () => performance.now(),
): CatalogSource {
  return openCatalogSource({
    now,
    query: (text) => connection.query(text),
    parse: async (text) => {
      const outcome = await parser.parse(text);
      if (outcome.type !== 'tree') throw new TypeError('a definition does not parse');
      return outcome.tree;
    },
    parseTrigger: async (text) => {
      const outcome = await parser.parseTrigger(text);
      if (outcome.type !== 'tree') throw new TypeError('a trigger function was not read');
      return (outcome.tree as { readonly body?: TriggerBody }).body;
    },
  });
}

/**
 * For one test file, after what starts its server.
 * @param now milliseconds: when it is time to look for what others have changed
 */
export function realEngine(target: () => PostgresTarget, now?: () => number): RealEngine {
  const parser = SqlParser.create();
  let opened:
    | { readonly connection: TargetConnection; readonly catalog: CatalogSource }
    | undefined;
  const started = () => {
    if (opened === undefined) throw new Error('the catalog is not open yet');
    return opened;
  };
  beforeAll(async () => {
    const connection = await connectTarget({
      target: target(),
      signal: new AbortController().signal,
    });
    opened = { connection, catalog: catalogOf(connection, parser, now) };
  });
  afterAll(async () => {
    await opened?.connection.close();
    await parser[Symbol.asyncDispose]();
  });
  return {
    parts: () => ({ policy: createStatementPolicy(parser), catalog: started().catalog }),
  };
}
