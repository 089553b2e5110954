/**
 * From a text to a verdict: asks the policy with what is confirmed, and where it refuses for want
 * of something that the target can tell (search_path, a name, DDL by others), gets that and asks
 * again. A refusal that remains is final.
 */
import { HoopError } from '../../../../errors.ts';
import type { Grant } from '../../../../policy/types.ts';
import { after } from '../../../../soon.ts';
import type { ChangeScope } from '../../policy/facts/analysis-types.ts';
import type { Catalog } from '../../policy/facts/catalog-types.ts';
import type { AllowedStatement, SqlRefusal, Verdict } from '../../policy/facts/types.ts';
import { sqlRefusal } from '../../policy/verdict/evaluate-refusal.ts';
import { SeenCatalog } from '../catalog/seen-catalog.ts';
import { probe } from '../target/probe.ts';
import type { StreamState } from '../wire/stream-state.ts';
import type { NativeError } from '../wire/to-error-response.ts';
import { noRoomToKeep } from '../wire/too-large.ts';
import { type Basis, type KnownStatement, type Place, samePlace } from './known-statement.ts';
import { changesNames, type NamesUsed, namesInOneText, SqlNames } from './sql-names.ts';

export interface DecideRequest {
  readonly text: string;
  readonly parameterTypes: readonly number[];
  /** Look names up there and not where the connection is now: for a portal, which is bound already. */
  readonly place?: Place | undefined;
  /** A prepared statement of that name will be left of it. */
  readonly isNamed?: boolean;
}

export type Allowed = Decided & { readonly type: 'allowed' };

export type Decided =
  | {
      readonly type: 'allowed';
      readonly statements: readonly AllowedStatement[];
      readonly basis: Basis;
      readonly grantGeneration: string;
      readonly names: NamesUsed;
      /** Those of its statements, when they are in the record already. */
      readonly numbers?: readonly number[];
      /** What needs approval in it has been approved. */
      readonly isApproved?: true;
    }
  /** Not looked into: the grant is a passthrough. */
  | { readonly type: 'opaque'; readonly grantGeneration: string }
  | { readonly type: 'refused'; readonly verdict: Verdict & { effect: 'refuse' } }
  /** The transaction has failed and the policy cannot say more: the target will refuse anyway. */
  | { readonly type: 'aborted' }
  /** Whoever sent it has cancelled it while it waited for approval. */
  | { readonly type: 'cancelled' }
  /** An error came first; the target skips this message. */
  | { readonly type: 'skipped' };

/**
 * Each round settles one thing, and the last one decides: what others changed, what the grant is,
 * where names are looked up, which names there are, what they stand for, what the transaction has
 * changed, and what the catalog lacks.
 */
const MAX_ROUNDS = 8;
const CACHED_VERDICT_TURNS = 16;
/**
 * A verdict that took longer is decided again if the catalog has changed since: no older than what
 * DDL of others takes to be noticed. Shorter ones are not, or large texts would never be done where
 * relations come and go all the time.
 */
const MAX_VERDICT_AGE_MS = 2000;
const NO_NAMES: NamesUsed = { wereUsed: false, found: new Map() };
type Judged = Pick<KnownStatement, 'basis' | 'grantGeneration'>;

export class Decider {
  readonly #state: StreamState;
  readonly #seen: SeenCatalog;

  constructor(state: StreamState) {
    this.#state = state;
    this.#seen = new SeenCatalog(state);
  }

  /** Known at once in the usual case, which saves a chain of promises per statement. */
  decide(request: DecideRequest): Decided | Promise<Decided> {
    const decided = this.#decideAtOnce(request) ?? this.#decideLater(request);
    return after(decided, (now) => this.#withRoom(request, this.#withConversion(now)));
  }

  #withConversion(decided: Decided): Decided {
    if (decided.type !== 'allowed') return decided;
    const refusal = this.#state.settings.conversion.refuse(decided.statements);
    if (refusal === undefined) return decided;
    return { type: 'refused', verdict: refusedStatement(refusal, decided.statements) };
  }

  #withRoom({ text, isNamed = false }: DecideRequest, decided: Decided): Decided {
    const { memory, queue } = this.#state;
    const statements = decided.type === 'allowed' ? decided.statements : [];
    const isPassing = queue.length === 0 && !isNamed && !statements.some(leavesName);
    const noRoom = memory.makeRoom(text, statements, isPassing);
    if (noRoom === undefined) return decided;
    return { type: 'refused', verdict: refusedVerdict(noRoomToKeep(noRoom)) };
  }

  /** Nothing is in doubt, nothing has to be asked for, and the verdict is kept. */
  #decideAtOnce(request: DecideRequest): Allowed | undefined {
    const { text, parameterTypes } = request;
    const { settings, options } = this.#state;
    const grant = options.grant();
    const place = this.#seen.place;
    const catalog =
      grant.passthrough || place === undefined || request.place !== undefined
        ? undefined
        : this.#seen.currentAtOnce();
    if (catalog === undefined || settings.unsettled !== undefined) return undefined;
    const verdict = options.policy.known?.(
      text,
      {
        catalog,
        searchPath: place?.searchPath,
        role: place?.role,
        logins: options.target.users ?? [options.target.user],
        isLoginRole: place?.isLoginRole,
        unsettled: undefined,
        placeIsSteady: !settings.placeMoved,
        parameterTypes,
      },
      grant,
    );
    if (verdict?.effect !== 'allow') return undefined;
    return {
      type: 'allowed',
      statements: verdict.statements,
      basis: { catalog, place, touches: settings.touches, usesNoNames: false },
      grantGeneration: grant.generation,
      names: NO_NAMES,
    };
  }

  async #decideLater(request: DecideRequest): Promise<Decided> {
    try {
      return await this.#decide(request);
    } catch (error) {
      if (!(error instanceof HoopError)) throw error;
      // The catalog cannot be read: nothing can be traced, and the connection may well outlive it.
      return { type: 'refused', verdict: refusedVerdict(unreadable(error)) };
    }
  }

  async #decide(request: DecideRequest): Promise<Decided> {
    const { settings, options, queue } = this.#state;
    let othersWereAsked = false;
    for (let round = 1; ; round += 1) {
      const grant = options.grant();
      if (grant.passthrough) return { type: 'opaque', grantGeneration: grant.generation };
      const catalog = await this.#seen.current();
      // Outside a transaction asking first costs nothing. Inside, a snapshot taken for the asking
      // would break SET TRANSACTION, so the policy is asked first whether it needs to know.
      const isIdle = this.#state.isIdle && queue.length === 0;
      if (request.place === undefined && this.#seen.place === undefined && isIdle) {
        await probe(this.#state);
      }
      const place = request.place ?? this.#seen.place;
      const names = new SqlNames(this.#state, catalog);
      const { catalogStale } = settings;
      const unsettled = settings.unsettled ?? catalogStale;
      const askedAt = performance.now();
      const verdict = await this.#ask(request, grant, { catalog, place, names, unsettled });
      const isOld = performance.now() - askedAt > MAX_VERDICT_AGE_MS;
      const hasMoved = isOld && (await this.#seen.current()).generation !== catalog.generation;
      if (this.#state.skipping) return { type: 'skipped' };
      if (verdict.effect === 'allow') {
        if (hasMoved) {
          if (round < MAX_ROUNDS) continue;
          return { type: 'refused', verdict: refusedVerdict(moves('what names refer to')) };
        }
        const { statements } = verdict;
        // What it touches is known, and recorded, only by the catalog of now.
        if (catalogStale !== undefined && statements.some(isUnsettled)) {
          await this.#seen.lookAgain();
          if (round < MAX_ROUNDS) continue;
        }
        // What was just revoked must not be let through because it was asked before.
        if (options.grant().generation !== grant.generation) {
          if (round < MAX_ROUNDS) continue;
          return { type: 'refused', verdict: refusedVerdict(moves('what this session may do')) };
        }
        if (names.wereUsed && statements.slice(0, -1).some(changesNames)) {
          const verdict = refusedStatement(namesInOneText(), statements);
          return { type: 'refused', verdict: { ...verdict, statement: statements.length - 1 } };
        }
        return {
          type: 'allowed',
          statements,
          basis: {
            catalog,
            place,
            touches: settings.touches,
            usesNoNames: unsettled !== undefined && !statements.some(isUnsettled),
          },
          grantGeneration: grant.generation,
          names,
        };
      }
      const lacksPlace = place === undefined;
      const again = round < MAX_ROUNDS && (await this.#learnMore({ verdict, names, lacksPlace }));
      if (this.#state.skipping) return { type: 'skipped' };
      if (again) continue;
      if (this.#isAborted(verdict, lacksPlace)) return { type: 'aborted' };
      if (round < MAX_ROUNDS && !othersWereAsked && restsOnCatalog(verdict)) {
        othersWereAsked = true;
        const hasChanged = await this.#seen.hasChangedSince(catalog);
        if (this.#state.skipping) return { type: 'skipped' };
        if (hasChanged) continue;
      }
      const absence = names.absence(verdict.refusal);
      if (absence === undefined) return { type: 'refused', verdict };
      return {
        type: 'refused',
        verdict: { ...verdict, refusal: inServersWords(verdict, absence) },
      };
    }
  }

  /**
   * Whether what the verdict rests on is still so, at the moment when this resolves.
   * @param isBound the names in it have been looked up already, by Bind or DECLARE.
   */
  isCurrent(statement: Judged, isBound: boolean): boolean | Promise<boolean> {
    const stands = (catalog: Catalog | undefined) => this.#stands(statement, isBound, catalog);
    const atOnce = stands(this.#seen.currentAtOnce());
    return atOnce ?? this.#standsLater(stands);
  }

  /** While the catalog cannot be read nothing is known to stand; whoever decides again says why. */
  async #standsLater(stands: (catalog: Catalog) => boolean | undefined): Promise<boolean> {
    try {
      return stands(await this.#seen.current()) === true;
    } catch (error) {
      if (!(error instanceof HoopError)) throw error;
      return false;
    }
  }

  /** @returns undefined: that takes the catalog */
  #stands(
    { basis, grantGeneration }: Judged,
    isBound: boolean,
    catalog: Catalog | undefined,
  ): boolean | undefined {
    if (grantGeneration !== this.#state.options.grant().generation) return false;
    if (basis === undefined) return true;
    if (!basis.usesNoNames) {
      if (catalog === undefined) return undefined;
      if (catalog.generation !== basis.catalog.generation) return false;
      if (!isBound && !this.#state.settings.isCertain(basis.touches)) return false;
    }
    if (isBound || basis.place === undefined) return true;
    const place = this.#seen.place;
    return place !== undefined && samePlace(basis.place, place);
  }

  /**
   * Makes certain what named statements and portals are, before one is used.
   * @returns undefined: it is certain
   */
  settleNames(): Promise<void> | undefined {
    const { settings, isDisturbed } = this.#state;
    return isDisturbed || settings.namesInDoubt ? this.#settleNames() : undefined;
  }

  async #settleNames(): Promise<void> {
    const { settings, queue, isDisturbed } = this.#state;
    if (isDisturbed) await this.#state.waitForTarget(() => queue.length === 0);
    // In a failed transaction nothing but its end can run, whatever the name stands for.
    if (settings.namesInDoubt && settings.transaction !== 'failed') await probe(this.#state);
  }

  /** The statement with a verdict of now, or undefined: it would be refused now. */
  async renew(
    statement: KnownStatement,
    place: Place | undefined,
  ): Promise<KnownStatement | undefined> {
    const { text, parameterTypes } = statement;
    const decided = await this.#decide({ text, parameterTypes, place });
    if (decided.type !== 'allowed') return undefined;
    const { basis, grantGeneration } = decided;
    const [allowed] = decided.statements;
    return {
      ...statement,
      basis,
      grantGeneration,
      allowed,
      shape: undefined,
      shapeIsChecked: false,
    };
  }

  /** @returns whether it is worth to ask again. */
  async #learnMore(refused: {
    readonly verdict: Verdict & { effect: 'refuse' };
    readonly names: SqlNames;
    readonly lacksPlace: boolean;
  }): Promise<boolean> {
    const { settings, queue } = this.#state;
    if (settings.catalogStale !== undefined) {
      await this.#seen.lookAgain();
      return true;
    }
    if (refused.lacksPlace || (refused.names.wereInDoubt && settings.namesInDoubt)) {
      if (settings.transaction === 'failed' && queue.length === 0) return false;
      await probe(this.#state);
      return this.#seen.place !== undefined;
    }
    if (refused.names.wereInDoubt) {
      await this.#state.waitForTarget(() => queue.length === 0);
      return true;
    }
    if (refused.names.outdated.length > 0) {
      for (const renew of refused.names.outdated) await renew(this);
      return true;
    }
    return settings.unsettled !== undefined && (await this.#seen.lookWithin(settings.unsettled));
  }

  /**
   * In a failed transaction the target looks at nothing but the first word of a statement: it would
   * not get as far as the names that cannot be told here.
   */
  #isAborted({ refusal, analysis }: Verdict & { effect: 'refuse' }, lacksPlace: boolean): boolean {
    const { settings, queue } = this.#state;
    if (settings.transaction !== 'failed') return false;
    // The target, too, parses before it looks at the transaction.
    if (refusal.code === 'HOOP_UNPARSED') return false;
    if (lacksPlace) return true;
    const endsIt = analysis.some(({ protocol }) => protocol.transaction !== undefined);
    return queue.length === 0 && refusal.code === 'HOOP_UNTRACEABLE' && !endsIt;
  }

  async #ask(
    request: DecideRequest,
    grant: Grant,
    known: {
      catalog: Catalog;
      place: Place | undefined;
      names: SqlNames;
      unsettled: ChangeScope | undefined;
    },
  ): Promise<Verdict> {
    const { options, settings } = this.#state;
    const verdict = options.policy.decide(
      request.text,
      {
        catalog: known.catalog,
        searchPath: known.place?.searchPath,
        role: known.place?.role,
        logins: options.target.users ?? [options.target.user],
        isLoginRole: known.place?.isLoginRole,
        unsettled: known.unsettled,
        placeIsSteady: !settings.placeMoved,
        parameterTypes: request.parameterTypes,
        owner: options.owner,
        left: this.#state.left,
        cursor: (name) => known.names.cursor(name),
        prepared: (name) => known.names.prepared(name),
      },
      grant,
    );
    return this.#whileOthersGoOn(verdict);
  }

  /** Answers to earlier messages keep flowing while the policy thinks. */
  async #whileOthersGoOn<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = (): void => {
      isSettled = true;
    };
    const { queue, toTarget } = this.#state;
    if (queue.length === 0 && toTarget.isEmpty) return promise;
    promise.then(settle, settle);
    // A verdict from the cache is there within a few microtasks; then nothing needs to be sent early.
    for (let turn = 0; turn < CACHED_VERDICT_TURNS && !isSettled; turn += 1) await undefined;
    if (!isSettled) await new Promise((resolve) => setImmediate(resolve));
    if (!isSettled) await this.#state.release();
    return promise;
  }
}

function isUnsettled({ analysis }: AllowedStatement): boolean {
  return analysis.opaque.some(({ unsettled }) => unsettled === true);
}

/** A text that could not be parsed has no analysis, and no change of the catalog helps. */
function restsOnCatalog({ analysis }: Verdict & { effect: 'refuse' }): boolean {
  return analysis.length > 0;
}

function inServersWords(
  { refusal }: Verdict & { effect: 'refuse' },
  { sqlState, message }: NativeError,
): SqlRefusal {
  return { ...refusal, sqlState, message, detail: undefined, hint: undefined, rule: undefined };
}

export function moves(what: string): SqlRefusal {
  return sqlRefusal({
    code: 'HOOP_DENIED',
    message: `statement cannot be checked: ${what} keeps changing`,
    detail: 'Each verdict was out of date before it could be used.',
    hint: 'Try again in a moment.',
  });
}

function unreadable(error: HoopError): SqlRefusal {
  return sqlRefusal({
    code: 'HOOP_UNTRACEABLE',
    message: 'statement cannot be checked: the catalog of the target cannot be read',
    detail: `${error.message.charAt(0).toUpperCase()}${error.message.slice(1)}.`,
    hint: 'Try again in a moment.',
  });
}

function leavesName({ analysis }: AllowedStatement): boolean {
  const { prepare, declareCursor } = analysis.protocol;
  return prepare !== undefined || declareCursor !== undefined;
}

export function refusedVerdict(refusal: SqlRefusal): Verdict & { effect: 'refuse' } {
  return { effect: 'refuse', refusal, statement: 0, analysis: [] };
}

/** Of statements that the policy allows, and that do not run for another reason. */
export function refusedStatement(
  refusal: SqlRefusal,
  statements: readonly AllowedStatement[],
): Verdict & { effect: 'refuse' } {
  return { ...refusedVerdict(refusal), analysis: statements.map(({ analysis }) => analysis) };
}
