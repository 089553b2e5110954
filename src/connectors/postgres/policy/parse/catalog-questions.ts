/**
 * A catalog for a thread that has none: whoever judges there asks for what a text names, and for
 * nothing else. A catalog can have tens of thousands of relations, and most texts name three.
 */
import type {
  Catalog,
  CatalogFunction,
  CatalogOperator,
  CatalogRelation,
  CatalogType,
} from '../facts/catalog-types.ts';
import type { AllowedStatement, StatementContext } from '../facts/types.ts';

export type CatalogQuestion =
  | {
      readonly of: 'relation' | 'functions' | 'type' | 'operators';
      readonly schema: string;
      readonly name: string;
    }
  | { readonly of: 'relation by oid' | 'type by oid' | 'children'; readonly oid: number }
  | { readonly of: 'cursor' | 'prepared'; readonly name: string };

/** What is said of a catalog in advance, since nearly every text needs it. */
export type CatalogFacts = Pick<
  Catalog,
  | 'generation'
  | 'majorVersion'
  | 'database'
  | 'userCasts'
  | 'castContexts'
  | 'schemas'
  | 'eventTriggers'
  | 'loginFunctions'
  | 'roles'
  | 'maskBindings'
  | 'maskTexts'
>;

/** What of a context can be told in advance. */
export type ToldContext = Omit<StatementContext, 'catalog' | 'cursor' | 'owner' | 'prepared'>;

export function factsOf(catalog: Catalog): CatalogFacts {
  const { generation, majorVersion, database, userCasts, castContexts, schemas } = catalog;
  const { eventTriggers, loginFunctions, maskBindings, maskTexts, roles } = catalog;
  return {
    generation,
    majorVersion,
    database,
    userCasts,
    castContexts,
    schemas,
    ...(roles === undefined ? {} : { roles }),
    ...(eventTriggers === undefined ? {} : { eventTriggers }),
    ...(loginFunctions === undefined ? {} : { loginFunctions }),
    ...(maskBindings === undefined ? {} : { maskBindings }),
    ...(maskTexts === undefined ? {} : { maskTexts }),
  };
}

export function toldOf(context: StatementContext): ToldContext {
  const { searchPath, role, logins, unsettled, placeIsSteady, parameterTypes } = context;
  return {
    searchPath,
    role,
    unsettled,
    parameterTypes,
    ...(logins === undefined ? {} : { logins }),
    ...(placeIsSteady === undefined ? {} : { placeIsSteady }),
  };
}

/** Plain data, for `AskedCatalog` and `askedContext`. */
export function answerQuestion(question: CatalogQuestion, context: StatementContext): unknown {
  const { catalog } = context;
  switch (question.of) {
    case 'relation':
      return catalog.relation(question.schema, question.name);
    case 'relation by oid':
      return catalog.relationByOid(question.oid);
    case 'children':
      // A table can have thousands of partitions: each is asked for by itself.
      return catalog.childrenOf(question.oid).map(({ oid }) => oid);
    case 'functions':
      return catalog.functions(question.schema, question.name);
    case 'type':
      return catalog.type(question.schema, question.name);
    case 'type by oid':
      return catalog.typeByOid(question.oid);
    case 'operators':
      return catalog.operators(question.schema, question.name);
    case 'cursor':
      return context.cursor(question.name);
    case 'prepared':
      return context.prepared(question.name);
  }
}

/** Waits for the answer. */
export type AskCatalog = (question: CatalogQuestion) => unknown;

/** Asks for everything once; one object for each relation and type, whatever it was asked by. */
export class AskedCatalog implements Catalog {
  readonly generation: number;
  readonly majorVersion: number;
  readonly database: string;
  readonly userCasts: Catalog['userCasts'];
  readonly castContexts: Catalog['castContexts'];
  readonly schemas: readonly string[];
  readonly eventTriggers: boolean;
  readonly loginFunctions: NonNullable<Catalog['loginFunctions']>;
  readonly roles: Catalog['roles'];
  readonly maskBindings: NonNullable<Catalog['maskBindings']>;
  readonly maskTexts: NonNullable<Catalog['maskTexts']>;
  /** Of the text that is judged now. */
  ask: AskCatalog = () => {
    throw new TypeError('no text is judged');
  };
  readonly #answers = new Map<string, unknown>();
  readonly #relations = new Map<number, CatalogRelation>();
  readonly #types = new Map<number, CatalogType>();

  constructor(facts: CatalogFacts) {
    this.generation = facts.generation;
    this.majorVersion = facts.majorVersion;
    this.database = facts.database;
    this.userCasts = facts.userCasts;
    this.castContexts = facts.castContexts;
    this.schemas = facts.schemas;
    this.roles = facts.roles;
    this.eventTriggers = facts.eventTriggers ?? false;
    this.loginFunctions = facts.loginFunctions ?? [];
    this.maskBindings = facts.maskBindings ?? [];
    this.maskTexts = facts.maskTexts ?? [];
  }

  relation(schema: string, name: string): CatalogRelation | undefined {
    return this.#relation(this.#answer({ of: 'relation', schema, name }));
  }

  relationByOid(oid: number): CatalogRelation | undefined {
    return this.#relations.get(oid) ?? this.#relation(this.#answer({ of: 'relation by oid', oid }));
  }

  childrenOf(oid: number): readonly CatalogRelation[] {
    // What `answerQuestion` gives for it.
    const children = this.#answer({ of: 'children', oid }) as readonly number[];
    return children.flatMap((child) => this.relationByOid(child) ?? []);
  }

  functions(schema: string, name: string): readonly CatalogFunction[] {
    return this.#answer({ of: 'functions', schema, name }) as readonly CatalogFunction[];
  }

  type(schema: string, name: string): CatalogType | undefined {
    return this.#type(this.#answer({ of: 'type', schema, name }));
  }

  typeByOid(oid: number): CatalogType | undefined {
    return this.#types.get(oid) ?? this.#type(this.#answer({ of: 'type by oid', oid }));
  }

  operators(schema: string, name: string): readonly CatalogOperator[] {
    return this.#answer({ of: 'operators', schema, name }) as readonly CatalogOperator[];
  }

  #relation(answer: unknown): CatalogRelation | undefined {
    return interned(this.#relations, answer as CatalogRelation | undefined);
  }

  #type(answer: unknown): CatalogType | undefined {
    return interned(this.#types, answer as CatalogType | undefined);
  }

  #answer(question: CatalogQuestion): unknown {
    const key = JSON.stringify(question);
    if (this.#answers.has(key)) return this.#answers.get(key);
    const answer = this.ask(question);
    this.#answers.set(key, answer);
    return answer;
  }
}

function interned<T extends { readonly oid: number }>(
  known: Map<number, T>,
  answer: T | undefined,
): T | undefined {
  if (answer === undefined) return undefined;
  const first = known.get(answer.oid) ?? answer;
  known.set(answer.oid, first);
  return first;
}

/** The context of a text; names of cursors and prepared statements are asked for once. */
export function askedContext(
  told: ToldContext,
  catalog: Catalog,
  ask: AskCatalog,
): StatementContext {
  const asked = (of: 'cursor' | 'prepared') => {
    const answers = new Map<string, AllowedStatement | undefined>();
    return (name: string): AllowedStatement | undefined => {
      if (!answers.has(name)) {
        // What `answerQuestion` gives for it.
        answers.set(name, ask({ of, name }) as AllowedStatement | undefined);
      }
      return answers.get(name);
    };
  };
  return { ...told, catalog, cursor: asked('cursor'), prepared: asked('prepared') };
}
