/** Refused statements and acts as events: which rule, never which words. */
import type { EventParty } from '../../api/events.ts';
import type { NewEvent } from '../events/audit-events.ts';
import { oneForMany } from '../events/audit-events.ts';
import type { Counted } from '../events/event-limit.ts';
import { EventLimit } from '../events/event-limit.ts';
import { eventParty } from '../events/event-party.ts';
import { integer, optionalText, type Row, text } from '../store/store.ts';
import type { Decision } from './pending-statement.ts';

/** What events say of a session. */
export interface SessionFacts {
  readonly who: EventParty;
  readonly target: string;
  readonly session: string;
  readonly run?: string | undefined;
}

/** Of `sessions`: what `sessionFacts` reads. */
export const SESSION_FACTS =
  'id, kind, target, principal_kind, issuer, sub, name, agent, agent_itself, requester, run';

export function sessionFacts(row: Row): SessionFacts {
  const agent = optionalText(row['agent']);
  const requester = optionalText(row['requester']);
  return {
    who: eventParty({
      kind: text(row['principal_kind']) === 'workload' ? 'workload' : 'person',
      issuer: text(row['issuer']),
      sub: text(row['sub']),
      name: text(row['name']),
      ...(agent === undefined ? {} : { agent }),
      ...(integer(row['agent_itself']) === 1 ? { isAgent: true } : {}),
      ...(requester === undefined ? {} : { requester }),
    }),
    target: text(row['target']),
    session: text(row['id']),
    run: optionalText(row['run']),
  };
}

/** A rule may be named by a long policy, and there may be many. */
const MAX_RULES = 10;

type Refusal = Extract<NewEvent, { type: 'statement.refused' | 'act.refused' }>;

/** Tells which refusals are told one by one: a program can make thousands of them a second. */
export class RefusalLimit {
  readonly #limit: EventLimit<Decision>;

  constructor(clock: () => number) {
    this.#limit = new EventLimit(clock);
  }

  get isCounting(): boolean {
    return this.#limit.isCounting;
  }

  get everyMs(): number {
    return this.#limit.everyMs;
  }

  /** @returns false: it was counted */
  take(session: string, decision: Decision): boolean {
    const { code = '', rules, policyCommit } = decision;
    const kind = [code, policyCommit, ...rules.map(({ id }) => id)].join(' ');
    return this.#limit.take(session, kind, decision);
  }

  /** What was counted, if it is time to tell it; its scope is the session. */
  due(): readonly Counted<Decision>[] {
    return this.#limit.due();
  }

  /** What `due` or `rest` gave and could not be told. */
  putBack(counted: readonly Counted<Decision>[]): void {
    this.#limit.putBack(counted);
  }

  /** The session is over. */
  rest(session: string): readonly Counted<Decision>[] {
    return this.#limit.rest(session);
  }
}

/** @param facts of its session */
export function refusalEvent(
  facts: SessionFacts,
  hasStatements: boolean,
  decision: Decision,
): Refusal {
  const { code, rules, stream, statement, policyCommit: commit } = decision;
  return {
    type: hasStatements ? 'statement.refused' : 'act.refused',
    ...facts,
    commit,
    code,
    rules: [...new Set(rules.map(({ id }) => id))].slice(0, MAX_RULES),
    stream,
    statement,
  };
}

export function countedRefusals(
  facts: SessionFacts,
  hasStatements: boolean,
  { event, ...counted }: Counted<Decision>,
): Refusal {
  return oneForMany({ ...counted, event: refusalEvent(facts, hasStatements, event) });
}
