/** How many requests may be open, and how often somebody may ask. */
import { HoopError } from '../../errors.ts';
import { type ApprovalRecord, isSameParty, type NewApproval } from './approval-record.ts';

/** Open requests of one person, of everyone, and how many one person may make in a minute. */
export const MAX_OPEN_PER_PERSON = 20;
const MAX_OPEN = 1000;
const MAX_NEW_PER_MINUTE = 60;
/** Of these, all runs of the person together: a program in a loop leaves some to them. */
export const MAX_OPEN_OF_RUNS = 15;
const MAX_NEW_OF_RUNS = 45;
const MINUTE_MS = 60_000;

export class RequestLimits {
  readonly #made = new Map<string, { readonly atMs: number; readonly isRun: boolean }[]>();

  /** @throws HoopError HOOP_LIMIT: so many are open. @param open all that are */
  checkOpen({ requester, run }: NewApproval, open: readonly ApprovalRecord[]): void {
    const own = open.filter((record) => isSameParty(record.requester, requester));
    if (own.length >= MAX_OPEN_PER_PERSON || open.length >= MAX_OPEN) {
      throw tooMany(`One person may have ${MAX_OPEN_PER_PERSON} open, the gateway ${MAX_OPEN}.`);
    }
    const ofRuns = own.filter((record) => record.run !== undefined).length;
    if (run !== undefined && ofRuns >= MAX_OPEN_OF_RUNS) {
      throw tooMany(`All runs of one person may have ${MAX_OPEN_OF_RUNS} open.`);
    }
  }

  /**
   * Counts a request that is about to be made.
   * @returns what takes it back: it was not made
   * @throws HoopError HOOP_LIMIT: so many were made lately
   */
  take({ requester, run }: NewApproval, nowMs: number): () => void {
    for (const [person, times] of this.#made) {
      if ((times.at(-1)?.atMs ?? 0) < nowMs - MINUTE_MS) this.#made.delete(person);
    }
    const person = JSON.stringify([requester.issuer, requester.sub]);
    const lately = (this.#made.get(person) ?? []).filter(({ atMs }) => atMs > nowMs - MINUTE_MS);
    if (lately.length >= MAX_NEW_PER_MINUTE) {
      throw tooMany(`One person may make ${MAX_NEW_PER_MINUTE} requests per minute.`);
    }
    const isRun = run !== undefined;
    if (isRun && lately.filter((one) => one.isRun).length >= MAX_NEW_OF_RUNS) {
      throw tooMany(`All runs of one person may make ${MAX_NEW_OF_RUNS} requests per minute.`);
    }
    const made = { atMs: nowMs, isRun };
    this.#made.set(person, [...lately, made]);
    return () => {
      const others = (this.#made.get(person) ?? []).filter((one) => one !== made);
      this.#made.set(person, others);
    };
  }
}

function tooMany(detail: string): HoopError {
  return new HoopError('HOOP_LIMIT', 'too many requests for approval', {
    detail,
    hint: 'Wait for decisions, or withdraw requests that you no longer need.',
  });
}
