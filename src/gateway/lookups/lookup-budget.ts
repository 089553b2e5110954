/**
 * How many values of masked columns people may look up. One gateway has one store, and its budget is in
 * it; several gateways that share their people would answer `spend` from one place.
 */
import type { Principal } from '../../policy/types.ts';

/** Who looks up. Agents and runs of a person are that person; a workload is itself. */
export type LookupPerson = Pick<Principal, 'issuer' | 'sub'>;

export interface LookupUse {
  /** Values that a statement is about to compare with masked columns. */
  readonly candidates: number;
  /** Of the day, by the policy in force. */
  readonly limit: number;
}

/** `spent` is durable. `exhausted` has used nothing. */
export interface LookupReceipt {
  readonly type: 'spent' | 'exhausted';
  /** Of the day, after it. */
  readonly left: number;
  /** Wall clock, ms: when the next day begins. */
  readonly resetsMs: number;
}

export interface LookupBudget {
  /**
   * Asked before a statement is sent, each time that it runs.
   * @throws where it cannot be counted: then it must not run.
   */
  spend(person: LookupPerson, target: string, use: LookupUse): Promise<LookupReceipt>;
}
