/** A gateway as far as the masks of one target go: catalog, bindings, verdicts. */

import { MaskBindings } from '../../src/connectors/postgres/gateway/catalog/mask-bindings.ts';
import {
  readMaskBindings,
  writeMaskBindings,
} from '../../src/connectors/postgres/gateway/catalog/mask-bindings-file.ts';
import { TargetCatalogs } from '../../src/connectors/postgres/gateway/catalog/target-catalogs.ts';
import type { PostgresTarget } from '../../src/connectors/postgres/gateway/types.ts';
import type {
  Catalog,
  MaskedName,
} from '../../src/connectors/postgres/policy/facts/catalog-types.ts';
import type { SqlParser } from '../../src/connectors/postgres/policy/parse/parser.ts';
import { createStatementPolicy } from '../../src/connectors/postgres/policy/parse/statement-policy.ts';
import { splitColumn } from '../../src/policy/patterns.ts';
import { grantOf } from '../connectors/postgres/policy/grant-fixture.ts';
import { collectLog } from './collect-log.ts';

export function maskedNames(masks: readonly string[]): MaskedName[] {
  return masks.flatMap((mask) => splitColumn(mask) ?? []);
}

export interface MaskingGatewayOptions {
  readonly parser: SqlParser;
  readonly target: PostgresTarget;
  readonly masks: readonly string[];
  /** Of the bindings. */
  readonly path: string;
}

export class MaskingGateway implements AsyncDisposable {
  readonly log = collectLog();
  masks: readonly string[];
  /** In their order; default: full. */
  kinds: readonly string[] = [];
  readonly bindings: MaskBindings;
  readonly catalogs: TargetCatalogs;
  readonly path: string;
  readonly #options: MaskingGatewayOptions;

  constructor(options: MaskingGatewayOptions) {
    const { parser, masks, path } = options;
    this.#options = options;
    this.masks = masks;
    this.path = path;
    this.bindings = new MaskBindings({
      bindings: readMaskBindings(path),
      write: (bindings) => writeMaskBindings(path, bindings),
      masked: () => maskedNames(this.masks),
      log: this.log.log,
    });
    this.catalogs = new TargetCatalogs(parser, (name) => this.bindings.of(name));
  }

  /** As it is now. */
  catalog(): Promise<Catalog> {
    return this.catalogs.source(this.#options.target).refresh();
  }

  policyChanged(masks: readonly string[]): void {
    this.masks = masks;
    this.catalogs.masksChanged();
    this.bindings.policyChanged();
  }

  /** The mask of each result column, or why there is none. */
  async verdict(text: string): Promise<unknown> {
    const catalog = await this.catalog();
    const policy = createStatementPolicy(this.#options.parser);
    const grant = grantOf({
      rules: ['allow *'],
      masks: this.masks.map((mask, index) => `${mask} ${this.kinds[index] ?? 'full'}`),
    });
    const verdict = await policy.decide(
      text,
      {
        catalog,
        searchPath: ['pg_catalog', 'public'],
        role: 'postgres',
        parameterTypes: [],
        cursor: () => undefined,
        prepared: () => undefined,
      },
      grant,
    );
    return verdict.effect === 'refuse'
      ? verdict.refusal.code
      : verdict.statements[0]?.masks?.map((one) => one?.mask ?? '-').join(' ');
  }

  boundTo(): unknown {
    return this.bindings.alerts().map(({ state, boundTo }) => [state, ...boundTo]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.catalogs[Symbol.asyncDispose]();
  }
}
