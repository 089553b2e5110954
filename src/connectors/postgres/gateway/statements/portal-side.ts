/** Bind and Execute: what runs must be what was checked, under the rules that hold now. */

import { isDeepStrictEqual } from 'node:util';
import { placeholderInBytes } from '../../../../policy/placeholders.ts';
import { after } from '../../../../soon.ts';
import type { SqlRefusal } from '../../policy/facts/types.ts';
import { mayWriteBack, refusePlaceholder } from '../../policy/verdict/evaluate-placeholders.ts';
import type { FormatCode } from '../../protocol/format-code.ts';
import {
  decodeBind,
  decodeBindNames,
  decodeExecute,
  encodeDescribe,
  readResultFormats,
} from '../../protocol/frontend-messages.ts';
import { SQL_STATE } from '../../sql-state.ts';
import { type CountedRequest, keepBound, runnableStatement } from '../approvals/approval-ask.ts';
import { type Holds, policyChanged } from '../approvals/holds.ts';
import { CountedExecutes, type Execution, type Released } from '../counted/counted-executes.ts';
import { countsParameters, lookupsOf } from '../counted/lookup-count.ts';
import { changedMeanwhile } from '../counted/lookup-texts.ts';
import type { Lookups } from '../counted/lookups.ts';
import { isLimited, mayBeHeld } from '../counted/row-counts.ts';
import { type Denial, deniedExecute } from '../refusals/denial.ts';
import type { Refusals } from '../refusals/refusals.ts';
import { confirmCopies, sendCopyInPlace } from '../results/copy-confirmer.ts';
import { needsReading } from '../results/copy-out.ts';
import { needsDescription } from '../results/results.ts';
import type { StreamState } from '../wire/stream-state.ts';
import type { NativeError } from '../wire/to-error-response.ts';
import { noRoomToKeep } from '../wire/too-large.ts';
import { needsSettings, settingValues, withSettings } from './bound-settings.ts';
import { type Decided, type Decider, refusedStatement, refusedVerdict } from './decide.ts';
import { demandsOf, type KnownPortal, type KnownStatement } from './known-statement.ts';
import type { Lookup, NameTable } from './name-table.ts';
import type { CountedExecution } from './pending-queue.ts';
import { startRun } from './run.ts';
import { knownStatements, unknownStatement } from './statement-text.ts';

/** All others could end a transaction, some of them within their own code. */
const CANNOT_COMMIT = new Set(['select', 'insert', 'update', 'delete', 'merge']);

export class PortalSide {
  readonly #state: StreamState;
  readonly #decider: Decider;
  readonly #refusals: Refusals;
  readonly #holds: Holds;
  readonly #counted: CountedExecutes;
  readonly #lookups: Lookups;

  constructor(parts: {
    readonly state: StreamState;
    readonly decider: Decider;
    readonly refusals: Refusals;
    readonly holds: Holds;
    readonly lookups: Lookups;
  }) {
    this.#state = parts.state;
    this.#decider = parts.decider;
    this.#refusals = parts.refusals;
    this.#holds = parts.holds;
    this.#counted = new CountedExecutes(this.#state, {
      execute: (...execution) => this.#execute(...execution),
      released: (...request) => this.#released(...request),
      refuse: (at, refusal, text) => this.#refuse(refusal, at, text),
    });
    this.#lookups = parts.lookups;
  }

  /** @returns a promise only where something has to be waited for. */
  bind(body: Uint8Array, bytes: Uint8Array, at: number): Promise<void> | undefined {
    const names = decodeBindNames(body, this.#state.codec);
    return after(this.statementFor(names, at), (known) => {
      if (known !== undefined) this.#bind(body, bytes, at, { portal: names.portal, known });
      return undefined;
    });
  }

  #bind(
    body: Uint8Array,
    bytes: Uint8Array,
    at: number,
    { portal, known }: { readonly portal: string; readonly known: KnownStatement },
  ): void {
    // The server looks the statement up before it reads on, and so do we.
    const formats = readResultFormats(body);
    const { codec, segment, settings } = this.#state;
    if (this.writesBack(known) && this.refusesWriteBack(placeholderInBytes(body), at, known)) {
      return;
    }
    const values =
      needsValues(known) || isApprovable(known)
        ? keepBound(decodeBind(body, codec), bytes, segment)
        : undefined;
    const statement = needsSettings(known.allowed)
      ? this.#withSettings(known, settingValues(known, decodeBind(body, codec), settings), at)
      : known;
    if (statement) this.bound(bytes, { name: portal, known: statement, formats, values });
  }

  /** @returns undefined when it was refused. */
  #withSettings(
    known: KnownStatement,
    values: ReadonlyMap<number, string>,
    at: number,
  ): KnownStatement | undefined {
    const bound = withSettings(known, values, this.#state.options.grant());
    return 'code' in bound ? this.#refuseStatement(at, known, bound) : bound;
  }

  /** Whether what it is given must be searched for what masks have put in the place of values. */
  writesBack({ allowed }: KnownStatement): boolean {
    return allowed !== undefined && mayWriteBack(allowed.analysis, this.#state.options.grant());
  }

  /** @returns whether it was refused, in place of the Bind. */
  refusesWriteBack(placeholder: string | undefined, at: number, known: KnownStatement): boolean {
    const refused = refusePlaceholder(placeholder, this.#state.options.grant());
    if (refused === undefined) return false;
    this.#refuse(refused, at, known.source);
    return true;
  }

  /** @returns the statement that may be bound now; undefined when it was refused, or will be skipped. */
  statementFor(
    { statement: name, portal }: { readonly statement: string; readonly portal: string },
    at: number,
  ): KnownStatement | undefined | Promise<KnownStatement | undefined> {
    const state = this.#state;
    return after(this.#find(state.statements, name, unknownStatement), (found) => {
      if (state.skipping) return undefined;
      if (found.type !== 'known') {
        this.deny(this.#refusals.native(noStatement(name)));
        return undefined;
      }
      return after(this.#current(found.value, at, undefined), (statement) => {
        if (statement === undefined) return undefined;
        state.statements.replace(name, found.value, statement);
        return portal === '' || this.#hasRoomFor(statement, at) ? statement : undefined;
      });
    });
  }

  /** A portal with a name keeps its statement, also when that has no name, or none any more. */
  #hasRoomFor({ allowed, source }: KnownStatement, at: number): boolean {
    const statements = allowed === undefined ? [] : [allowed];
    const noRoom = this.#state.memory.makeRoom('', statements, false);
    if (noRoom === undefined) return true;
    this.#refuse(noRoomToKeep(noRoom), at, source);
    return false;
  }

  /** @param bytes of the Bind, or the last of them. */
  bound(
    bytes: Uint8Array,
    made: {
      readonly name: string;
      readonly known: KnownStatement;
      readonly formats: readonly FormatCode[];
      /** For an approval, or to be counted. */
      readonly values: KnownPortal['bound'];
    },
  ): void {
    const state = this.#state;
    const portal: KnownPortal = {
      statement: made.known,
      bound: made.values,
      formats: made.formats,
      releasedUnder: undefined,
      lookupsAreCounted: false,
      rows: 0,
      described: undefined,
      describedIn: undefined,
    };
    const { segment } = state;
    const entry = {
      kind: 'bind',
      origin: 'client',
      name: made.name,
      portal,
      segment,
    } as const;
    state.send(bytes, entry);
    state.portals.announce(made.name, entry, portal);
  }

  /** @returns a promise only where something has to be waited for. */
  execute(body: Uint8Array, bytes: Uint8Array, at: number): Promise<void> | undefined {
    const state = this.#state;
    const { portal: name, maxRows } = decodeExecute(body, state.codec);
    return after(this.#find(state.portals, name, unknownPortal), (found) => {
      if (state.skipping) return undefined;
      const portal = found.type === 'known' ? found.value : undefined;
      // Of a portal that was bound under a passthrough grant nothing is known to check it by.
      const isUnknown = portal?.statement.basis === undefined && !state.options.grant().passthrough;
      if (portal === undefined || isUnknown) {
        this.deny(this.#refusals.native(noPortal(name)));
        return undefined;
      }
      const settled = this.#mustWait(portal.statement) ? state.trials.settled() : undefined;
      return after(settled, () =>
        after(
          this.#current(portal.statement, at, portal),
          (statement) => statement && this.#run(bytes, { at, name, portal, statement }, maxRows),
        ),
      );
    });
  }

  /** Whether it could commit what is not counted yet. */
  #mustWait({ allowed }: KnownStatement): boolean {
    return this.#state.trials.isOpen && !CANNOT_COMMIT.has(allowed?.analysis.verb ?? '');
  }

  /** Runs what may run now, once it is approved and its lookups are counted. */
  #run(
    bytes: Uint8Array,
    asked: Omit<Execution, 'isApproved'>,
    maxRows: number,
  ): Promise<void> | undefined {
    const state = this.#state;
    if (state.skipping) return undefined;
    const { at, statement } = asked;
    const shown = statement.allowed === undefined ? [] : [statement.allowed];
    const refusal = state.settings.conversion.refuse(shown);
    if (refusal !== undefined) return this.#refuseStatement(at, statement, refusal);
    const { generation } = state.options.grant();
    const isReleased = asked.portal.releasedUnder === generation;
    const mustAsk = !isReleased && demandsOf(asked.statement.allowed, false).length > 0;
    const execution = { ...asked, isApproved: isReleased || mustAsk };
    if (!mustAsk) return this.#runApproved(bytes, execution, maxRows);
    return this.#released({ ...asked, isApproved: false }).then((released) => {
      if (released === undefined) return undefined;
      return this.#runApproved(bytes, { ...execution, statement: released.statement }, maxRows);
    });
  }

  #runApproved(
    bytes: Uint8Array,
    execution: Execution,
    maxRows: number,
  ): Promise<void> | undefined {
    return after(this.#withLookups(execution), (statement) => {
      if (statement === undefined) return undefined;
      const now = { ...execution, statement };
      if (isLimited(statement.allowed)) return this.#counted.execute(now, maxRows);
      if (needsReading(statement, this.#state.options.grant())) return this.#copy(bytes, now);
      this.#execute(bytes, now);
      return undefined;
    });
  }

  /** A COPY … TO STDOUT whose data is read: what it copies must be known before. */
  async #copy(bytes: Uint8Array, execution: Execution): Promise<void> {
    const state = this.#state;
    const { at, portal, statement, isApproved } = execution;
    const run = startRun(statement, at, state.options.grant(), portal);
    const confirmed = await confirmCopies(state, [run]);
    switch (confirmed.type) {
      case 'ready': {
        const { segment } = state;
        if (confirmed.text !== undefined) {
          return sendCopyInPlace(state, run, confirmed.text, isApproved);
        }
        const entry = { kind: 'execute', origin: 'client', segment, run } as const;
        return state.sendRuns(bytes, entry, isApproved);
      }
      case 'refused':
        return this.deny(this.#refusals.withheld(run, confirmed.refusal));
      case 'failed':
      case 'skipped':
        return;
    }
  }

  #execute(bytes: Uint8Array, execution: Execution, counted?: CountedExecution): void {
    const state = this.#state;
    const { at, name, portal, statement, isApproved } = execution;
    const grant = state.options.grant();
    if (needsDescription(statement, grant)) this.#describe(name, portal, statement);
    // What runs now may take long; what has been counted is told before.
    if (counted === undefined && state.trials.isOpen) state.flushAnswers();
    const first = counted?.isContinued === true ? undefined : counted?.trial?.run;
    const run = first ?? startRun(statement, at, grant, portal);
    const { segment } = state;
    const entry = { kind: 'execute', origin: 'client', segment, run } as const;
    state.sendRuns(bytes, counted === undefined ? entry : { ...entry, counted }, isApproved);
  }

  /** @returns what runs now, its lookups counted; undefined when it was refused, or will be skipped. */
  #withLookups(
    execution: Execution,
  ): KnownStatement | undefined | Promise<KnownStatement | undefined> {
    const { portal, statement } = execution;
    const isCounted = portal.lookupsAreCounted || lookupsOf(statement.allowed, false).length === 0;
    return isCounted ? statement : this.#countLookups(execution);
  }

  async #countLookups({
    at,
    portal,
    statement,
    isApproved,
  }: Execution): Promise<KnownStatement | undefined> {
    const candidates = this.#candidates(portal, statement);
    const refusal = await this.#lookups.spend({ at, statement: statement.number, candidates });
    if (this.#state.skipping) return undefined;
    if (refusal !== undefined) return this.#refuseStatement(at, statement, refusal);
    portal.lookupsAreCounted = candidates !== 0;
    const isCurrent = await this.#decider.isCurrent(statement, true);
    if (this.#state.skipping) return undefined;
    // It is sent before anything else can happen.
    if (isCurrent) return statement;
    if (isApproved) return this.#refuseStatement(at, statement, changedMeanwhile());
    const latest = await this.#current(statement, at, portal);
    if (latest === undefined) return undefined;
    const isSame =
      demandsOf(latest.allowed, false).length === 0 &&
      candidates === this.#candidates(portal, latest);
    return isSame ? latest : this.#refuseStatement(at, statement, changedMeanwhile());
  }

  #candidates({ bound }: KnownPortal, { allowed }: KnownStatement): number | undefined {
    return allowed === undefined ? 0 : this.#lookups.candidates([allowed], bound, false);
  }

  #refuseStatement(
    at: number,
    { allowed, source }: KnownStatement,
    refusal: SqlRefusal,
  ): undefined {
    const verdict = refusedStatement(refusal, allowed === undefined ? [] : [allowed]);
    this.deny(this.#refusals.denial(at, { type: 'refused', verdict }, source));
  }

  /** @returns what runs now, approved; undefined when it was refused, or will be skipped. */
  async #released(
    { name, portal, statement, at }: Execution,
    counted?: CountedRequest,
  ): Promise<Released | undefined> {
    let latest: KnownStatement | undefined = statement;
    const outcome = await this.#holds.pass({
      at,
      text: statement.source,
      isQuery: false,
      again: async () => {
        // Where it will be bound again, names are looked up anew.
        latest = await this.#current(
          latest ?? statement,
          at,
          this.#state.isIdle ? undefined : portal,
        );
        const runnable = latest && runnableStatement(latest);
        if (latest !== undefined && runnable === undefined) this.#void(at);
        return runnable;
      },
      portal: { name, known: portal },
      parameterTypes: statement.parameterTypes,
      ...(counted === undefined ? {} : { counted }),
    });
    switch (outcome.type) {
      case 'released':
        return latest && { statement: latest, covers: outcome.covers };
      case 'skipped':
      case 'refused again':
        return undefined;
      default:
        this.deny(this.#refusals.denial(at, outcome, statement.source));
        return undefined;
    }
  }

  #void(at: number): undefined {
    const refused = { type: 'refused', verdict: policyChanged() } as const;
    this.deny(this.#refusals.denial(at, refused));
  }

  /** Looks a name up; where that is not certain, after the target has answered. */
  #find<T>(
    table: NameTable<T>,
    name: string,
    unknown: (grantGeneration: string) => T,
  ): Lookup<T> | Promise<Lookup<T>> {
    const state = this.#state;
    const grant = state.options.grant();
    if (grant.passthrough) {
      const found = table.lookup(name, state.segment);
      return found.type === 'known' ? found : { type: 'known', value: unknown(grant.generation) };
    }
    const settled = name === '' ? undefined : this.#decider.settleNames();
    return after(settled, () => {
      const found = table.lookup(name, state.segment);
      if (found.type !== 'unsettled' || state.skipping) return found;
      const answered = state.waitForTarget(() => state.queue.length === 0);
      return answered.then(() => table.lookup(name, state.segment));
    });
  }

  /**
   * The statement with a verdict that holds now.
   * @param portal where it is bound already: names in it have been looked up.
   * @returns undefined when it was refused, or will be skipped.
   */
  #current(
    statement: KnownStatement,
    at: number,
    portal: KnownPortal | undefined,
  ): KnownStatement | undefined | Promise<KnownStatement | undefined> {
    const place = portal === undefined ? undefined : statement.basis?.place;
    return after(this.#decider.isCurrent(statement, portal !== undefined), (isCurrent) => {
      if (this.#state.skipping) return undefined;
      // EXECUTE and FETCH look their name up when they run, not when they were parsed.
      if (isCurrent && !(portal !== undefined && statement.usesNames)) return statement;
      const { text, parameterTypes } = statement;
      const decided = this.#decider.decide({ text, parameterTypes, place });
      return after(decided, (now) => this.#decidedAnew(statement, at, now));
    });
  }

  #decidedAnew(
    statement: KnownStatement,
    at: number,
    decided: Decided,
  ): KnownStatement | undefined {
    const { text, parameterTypes } = statement;
    switch (decided.type) {
      case 'skipped':
        return undefined;
      case 'refused':
      case 'cancelled':
      case 'aborted':
        this.deny(this.#refusals.denial(at, decided, text));
        return undefined;
      default: {
        const told = isTold(statement, decided)
          ? { ...decided, numbers: [statement.number] }
          : decided;
        const state = this.#state;
        const [known] = knownStatements({ state, decided: told, text, at, parameterTypes });
        const { settingValues } = statement;
        return known && settingValues ? this.#withSettings(known, settingValues, at) : known;
      }
    }
  }

  /** A Describe of the gateway's own, where the client sends none: rows need a description. */
  #describe(name: string, portal: KnownPortal, statement: KnownStatement): void {
    const state = this.#state;
    if (statement.allowed?.analysis.outputs === undefined && statement.allowed?.masks === undefined)
      return;
    if (portal.described !== undefined || portal.describedIn === state.segment) return;
    // A description of an earlier transaction may be of other columns than those that come now.
    const isLearned = statement.describedIn === state.segment;
    if (isLearned && portal.formats !== undefined) return;
    portal.describedIn = state.segment;
    state.send(encodeDescribe({ what: 'portal', name }, state.codec), {
      kind: 'describe',
      origin: 'aside',
      segment: state.segment,
      statement: undefined,
      portal,
    });
  }

  #refuse(refusal: SqlRefusal, at: number, text: string): void {
    this.deny(
      this.#refusals.denial(at, { type: 'refused', verdict: refusedVerdict(refusal) }, text),
    );
  }

  /** In place of any message of the extended protocol. */
  deny(denial: Denial): void {
    const state = this.#state;
    state.send(deniedExecute(denial), {
      kind: 'execute',
      origin: 'client',
      segment: state.segment,
      run: undefined,
      denial,
    });
    // The target refuses it for certain, and skips what follows up to Sync.
    state.skipping = true;
  }
}

/** Whether what was decided again is what is on record of the statement: it is one statement, not two. */
function isTold(
  { allowed, grantGeneration }: KnownStatement,
  decided: Decided & { type: 'allowed' | 'opaque' },
): decided is Decided & { type: 'allowed' } {
  if (decided.type !== 'allowed' || decided.grantGeneration !== grantGeneration) return false;
  return isDeepStrictEqual(decided.statements, allowed === undefined ? [] : [allowed]);
}

/** What may have to wait for an approval is shown with its values; those of an array are counted. */
function needsValues(statement: KnownStatement): boolean {
  return mustShowValues(statement) || countsParameters(statement.allowed);
}

export function mustShowValues({ allowed }: KnownStatement): boolean {
  return demandsOf(allowed, false).length > 0;
}

/** What may have to wait when its rows have been counted is bound again then. */
function isApprovable({ allowed }: KnownStatement): boolean {
  return allowed !== undefined && isLimited(allowed) && mayBeHeld(allowed);
}

function unknownPortal(grantGeneration: string): KnownPortal {
  const statement = unknownStatement(grantGeneration);
  return {
    statement,
    bound: undefined,
    releasedUnder: undefined,
    lookupsAreCounted: false,
    formats: undefined,
    rows: 0,
    described: undefined,
    describedIn: undefined,
  };
}

function noStatement(name: string): NativeError {
  const message =
    name === ''
      ? 'unnamed prepared statement does not exist'
      : `prepared statement "${name}" does not exist`;
  return { sqlState: SQL_STATE.invalidStatementName, message };
}

function noPortal(name: string): NativeError {
  return { sqlState: SQL_STATE.invalidCursorName, message: `portal "${name}" does not exist` };
}
