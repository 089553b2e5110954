/**
 * Temporary grants: who was given which requestable policy, on which target, until when. Durable
 * before they count, so a restart changes nothing; what has ended stays as a record of it.
 *
 * A grant ends by the wall clock, because it must outlive the process, and no later than its own
 * length after it was given by the monotonic clock: setting the machine's clock back prolongs
 * nothing. It ends for good when the commit in force no longer gives what was approved, even if a
 * later commit does again.
 */
import * as z from 'zod';
import type { EventParty } from '../../api/events.ts';
import { documentCovers, mayAsk } from '../../policy/match.ts';
import type { Policy } from '../../policy/policy.ts';
import { isGivenBy } from '../../policy/principal-grant.ts';
import type { Principal, TemporaryGrant } from '../../policy/types.ts';
import type { RecordingEvent } from '../../recording/formats/types.ts';
import { errorFields, type Log } from '../base/log.ts';
import { utcTime } from '../base/utc-time.ts';
import type { EventSteps } from '../events/audit-events.ts';
import { eventParty } from '../events/event-party.ts';
import { tellNodes } from '../nodes/node-changes.ts';
import {
  change,
  get,
  integer,
  nullable,
  optionalText,
  type Store,
  sql,
  text,
  type Work,
} from '../store/store.ts';

export type AccessEnd = 'expired' | 'revoked' | 'policy';

/** Who a grant is for, as they were when they asked. */
export type AccessHolder = Pick<Principal, 'issuer' | 'sub' | 'name' | 'email' | 'groups'>;

export interface AccessGrant extends TemporaryGrant {
  /** Also the id of the request that it was approved by. */
  readonly id: string;
  readonly target: string;
  readonly holder: AccessHolder;
  readonly reason: string;
  /** Names of those who approved. */
  readonly approvedBy: readonly string[];
  readonly policyCommit: string;
  readonly grantedMs: number;
  readonly ended:
    | { readonly ms: number; readonly how: AccessEnd; readonly by: string | undefined }
    | undefined;
}

export interface AccessGrantsOptions {
  readonly store: Store;
  readonly events: EventSteps;
  /** Wall clock, ms. */
  readonly clock: () => number;
  readonly log: Log;
}

type End = NonNullable<AccessGrant['ended']> & { readonly party: EventParty | undefined };

interface Live {
  readonly grant: AccessGrant;
  /** By performance.now(). */
  readonly deadline: number;
  /** Wall clock; the policy may have shortened it since. */
  expiresMs: number;
}

/** A clock that was put forward ends a grant within this time although no timer fires. */
const LOOK_EVERY_MS = 5000;
const MAX_LISTED = 200;
const MAX_SEEN = 10_000;

export class AccessGrants implements Disposable {
  readonly #options: AccessGrantsOptions;
  readonly #live = new Map<string, Live>();
  /** Those that were live in this process: sessions say what has become of theirs. */
  readonly #seen = new Map<string, AccessGrant>();
  readonly #listeners = new Set<(grant: AccessGrant) => void>();
  /** Ends that are in force and not yet in the store. */
  readonly #unwritten = new Map<string, End>();
  #writing = Promise.resolve();
  #isWriting = false;
  #timer: NodeJS.Timeout | undefined;

  private constructor(options: AccessGrantsOptions) {
    this.#options = options;
  }

  /** With those that hold. */
  static async open(options: AccessGrantsOptions): Promise<AccessGrants> {
    const grants = new AccessGrants(options);
    for (const row of await options.store.all(LIVE)) {
      grants.#keep(accessGrant(row));
    }
    grants.endDue();
    await grants.#writeEnds();
    return grants;
  }

  /** Called with each grant that begins, after it is durable, or has ended. */
  onChange(listener: (grant: AccessGrant) => void): void {
    this.#listeners.add(listener);
  }

  /**
   * Once for each id: what was given already is not given again.
   * @param within runs the steps in a transaction, or does not; then, at once, what they return: from
   *   then on the grant holds here
   * @throws what the store says: then nothing is given, or the answer was lost and it is heard of
   *   as what another node has given.
   */
  async give(
    grant: Omit<AccessGrant, 'ended'>,
    within: (steps: () => Work<() => void>) => Promise<unknown> = async (steps) =>
      (await this.#options.store.transaction(steps))(),
  ): Promise<void> {
    const { holder, id, policy, target, policyCommit } = grant;
    const { events } = this.#options;
    const values = {
      id: grant.id,
      policy: grant.policy,
      definition: grant.definition,
      target: grant.target,
      issuer: holder.issuer,
      sub: holder.sub,
      holder: JSON.stringify({ name: holder.name, email: holder.email, groups: holder.groups }),
      reason: grant.reason,
      approvedBy: JSON.stringify(grant.approvedBy),
      policyCommit: grant.policyCommit,
      grantedMs: grant.grantedMs,
      expiresMs: grant.expiresMs,
    };
    const begin = (): void => this.#begin(grant);
    // Returned, not set: the steps may run again, and give nothing then.
    await within(function* () {
      if ((yield* change(INSERT, values)) === 0) return () => undefined;
      yield* events.add({
        type: 'access.given',
        ...{ who: eventParty(holder), target, request: id, commit: policyCommit, policy },
        expires: new Date(grant.expiresMs).toISOString(),
      });
      yield* tellNodes('grants');
      return begin;
    });
  }

  /** It is in the store. */
  #begin(grant: Omit<AccessGrant, 'ended'>): void {
    const { holder } = grant;
    const given = { ...grant, ended: undefined };
    this.#keep(given);
    this.#options.log.info('access.given', {
      grant: grant.id,
      policy: grant.policy,
      target: grant.target,
      principal: holder.name,
      issuer: holder.issuer,
      sub: holder.sub,
      commit: grant.policyCommit,
    });
    this.#tell(given);
    this.endDue();
  }

  /** Another node has given something, or ended it. */
  async heard(): Promise<void> {
    const before = [...this.#live.keys()];
    const given = (await this.#options.store.all(LIVE)).map(accessGrant);
    for (const grant of given) {
      // What ended here a moment ago may not be in the store yet.
      if (this.#seen.has(grant.id)) continue;
      this.#keep(grant);
      this.#tell(grant);
    }
    const ids = new Set(given.map(({ id }) => id));
    for (const id of before) {
      const row = ids.has(id) ? undefined : await this.#options.store.get(FIND, { id });
      const ended = row && accessGrant(row);
      if (ended?.ended === undefined || !this.#live.delete(id)) continue;
      this.#see(ended);
      this.#tell(ended);
    }
    this.endDue();
  }

  /** Number of grants that hold now. */
  get liveCount(): number {
    return this.#live.size;
  }

  /** Those that hold now for this person on this target. */
  active(principal: Pick<Principal, 'issuer' | 'sub'>, target: string): readonly TemporaryGrant[] {
    return [...this.#live.values()]
      .filter((live) => live.grant.target === target && isHolder(live.grant, principal))
      .filter((live) => !this.#isDue(live))
      .map(({ grant: { id, policy, definition }, expiresMs }) => ({
        id,
        policy,
        definition,
        expiresMs,
      }));
  }

  async find(id: string): Promise<AccessGrant | undefined> {
    await this.#writeEnds();
    const row = await this.#options.store.get(FIND, { id });
    return row && accessGrant(row);
  }

  /** One that is live, or was since the gateway started. */
  seen(id: string): AccessGrant | undefined {
    return this.#seen.get(id);
  }

  /** Newest first. @param holder only theirs; undefined: everybody's. */
  async list(holder: Pick<Principal, 'issuer' | 'sub'> | undefined): Promise<AccessGrant[]> {
    this.endDue();
    await this.#writeEnds();
    const rows = await this.#options.store.all(LIST, {
      issuer: nullable(holder?.issuer),
      sub: nullable(holder?.sub),
      limit: MAX_LISTED,
    });
    return rows.map(accessGrant);
  }

  /**
   * In force at once, whatever the store says of it.
   * @returns false when it has ended already, or never was.
   */
  async revoke(id: string, by: string, party?: EventParty): Promise<boolean> {
    this.endDue();
    const isEnded = this.#end(id, 'revoked', by, party);
    await this.#writeEnds();
    return isEnded;
  }

  /** A commit has come into force: ends what it no longer gives, shortens what it gives for less. */
  policyChanged(policy: Policy): void {
    for (const live of [...this.#live.values()]) {
      const maxSeconds = longestNow(policy, live.grant);
      if (maxSeconds === undefined) {
        this.#end(live.grant.id, 'policy', undefined);
      } else {
        const { expiresMs, grantedMs } = live.grant;
        live.expiresMs = Math.min(expiresMs, grantedMs + maxSeconds * 1000);
      }
    }
    this.endDue();
  }

  /** Ends those whose time is over, and looks again when the next one's is. */
  endDue(): void {
    clearTimeout(this.#timer);
    for (const live of [...this.#live.values()]) {
      if (this.#isDue(live)) {
        this.#end(live.grant.id, 'expired', undefined);
      }
    }
    void this.#writeEnds();
    const waits = [...this.#live.values()].map((live) => this.#restMs(live));
    if (waits.length + this.#unwritten.size > 0) {
      const waitMs = Math.min(LOOK_EVERY_MS, ...waits);
      this.#timer = setTimeout(() => this.endDue(), Math.max(1, Math.ceil(waitMs)));
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#live.clear();
  }

  #keep(grant: AccessGrant): void {
    const { clock } = this.#options;
    const restMs = Math.min(grant.expiresMs - clock(), grant.expiresMs - grant.grantedMs);
    const deadline = performance.now() + restMs;
    this.#live.set(grant.id, { grant, deadline, expiresMs: grant.expiresMs });
    this.#see(grant);
  }

  #restMs({ deadline, expiresMs }: Live): number {
    return Math.min(deadline - performance.now(), expiresMs - this.#options.clock());
  }

  #isDue(live: Live): boolean {
    return this.#restMs(live) <= 0;
  }

  #end(id: string, how: AccessEnd, by: string | undefined, party?: EventParty): boolean {
    const live = this.#live.get(id);
    if (live === undefined) {
      return false;
    }
    const ms = this.#options.clock();
    // First the right, then the record: a full disk must not keep a grant alive.
    this.#live.delete(id);
    this.#unwritten.set(id, { ms, how, by, party });
    void this.#writeEnds();
    this.#options.log.info('access.ended', { grant: id, how, by });
    const ended = { ...live.grant, ended: { ms, how, by } };
    this.#see(ended);
    this.#tell(ended);
    return true;
  }

  /** The oldest go first; a session has those that it has ended with, which are the newest. */
  #see(grant: AccessGrant): void {
    this.#seen.delete(grant.id);
    this.#seen.set(grant.id, grant);
    for (const id of this.#seen.keys()) {
      if (this.#seen.size <= MAX_SEEN) break;
      if (!this.#live.has(id)) this.#seen.delete(id);
    }
  }

  /** What could not be written is tried again, or a restart would bring the grant back to life. */
  #writeEnds(): Promise<void> {
    this.#writing = this.#isWriting ? this.#writing.then(() => this.#writeAll()) : this.#writeAll();
    return this.#writing;
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    for (const [id, end] of this.#unwritten) {
      try {
        await this.#options.store.transaction(() => this.#writeEnd(id, end));
        this.#unwritten.delete(id);
      } catch (error) {
        this.#options.log.error('index.write_failed', errorFields(error));
      }
    }
    this.#isWriting = false;
  }

  *#writeEnd(id: string, { ms, how, by, party }: End): Work<void> {
    const row = yield* get(END, { id, ms, how, by: nullable(by) });
    if (row === undefined) return;
    const { holder, target, policy } = accessGrant(row);
    yield* this.#options.events.add({
      type: 'access.ended',
      ...{ who: eventParty(holder), by: party, target, request: id, policy, how },
    });
    yield* tellNodes('grants');
  }

  #tell(grant: AccessGrant): void {
    for (const listener of this.#listeners) {
      try {
        listener(grant);
      } catch (error) {
        this.#options.log.error('access.listener_failed', errorFields(error));
      }
    }
  }
}

export function accessEvent(
  change: 'given' | 'ended',
  { id, policy, expiresMs, reason, approvedBy }: AccessGrant,
  message: string,
): RecordingEvent {
  return { type: 'access', change, grant: id, policy, expiresMs, reason, approvedBy, message };
}

export function accessGivenText({ id, policy, expiresMs }: AccessGrant): string {
  return `the temporary grant ${id} (${policy}) is valid until ${utcTime(expiresMs)}`;
}

/** Why it ended, for the session that used it and for lists. */
export function accessEndText(grant: AccessGrant): string {
  const which = `the temporary grant ${grant.id} (${grant.policy})`;
  switch (grant.ended?.how) {
    case 'expired':
      return `${which} has expired`;
    case 'revoked':
      return `${which} was revoked by ${grant.ended.by ?? 'somebody'}`;
    case 'policy':
      return `${which} ended, because the policy in force no longer gives it`;
    case undefined:
      return `${which} holds`;
  }
}

/** @returns seconds, undefined: the policy does not give it (any more). */
function longestNow(policy: Policy, grant: AccessGrant): number | undefined {
  const document = policy.documents.find(({ name }) => name === grant.policy);
  const target = policy.targets.get(grant.target);
  return document !== undefined &&
    target !== undefined &&
    isGivenBy(grant, document) &&
    documentCovers(document, target) &&
    // Only people ask for access.
    mayAsk(document, { kind: 'person', ...grant.holder })
    ? document.request?.maxDurationSeconds
    : undefined;
}

function isHolder({ holder }: AccessGrant, who: Pick<Principal, 'issuer' | 'sub'>): boolean {
  return holder.issuer === who.issuer && holder.sub === who.sub;
}

const INSERT = sql(
  `INSERT INTO temporary_grants (id, policy, definition, target, issuer, sub, holder, reason,
     approved_by, policy_commit, granted_ms, expires_ms)
   VALUES ($id, $policy, $definition, $target, $issuer, $sub, $holder, $reason, $approvedBy,
     $policyCommit, $grantedMs, $expiresMs)
   ON CONFLICT (id) DO NOTHING`,
);
const END = sql(
  `UPDATE temporary_grants SET ended_ms = $ms, ended_how = $how, ended_by = $by
   WHERE id = $id AND ended_ms IS NULL RETURNING *`,
);
const LIVE = sql('SELECT * FROM temporary_grants WHERE ended_ms IS NULL');
const FIND = sql('SELECT * FROM temporary_grants WHERE id = $id');
const LIST = sql(
  `SELECT * FROM temporary_grants
   WHERE CAST($issuer AS TEXT) IS NULL OR (issuer = $issuer AND sub = $sub)
   ORDER BY granted_ms DESC, id DESC LIMIT $limit`,
);

const Names = z.array(z.string());
const Holder = z.object({ name: z.string(), email: z.string().optional(), groups: Names });

function accessGrant(row: Record<string, unknown>): AccessGrant {
  const endedMs = row['ended_ms'];
  const { email, ...holder } = Holder.parse(JSON.parse(text(row['holder'])));
  return {
    id: text(row['id']),
    policy: text(row['policy']),
    definition: text(row['definition']),
    target: text(row['target']),
    holder: { issuer: text(row['issuer']), sub: text(row['sub']), ...holder, email },
    approvedBy: Names.parse(JSON.parse(text(row['approved_by']))),
    reason: text(row['reason']),
    policyCommit: text(row['policy_commit']),
    grantedMs: integer(row['granted_ms']),
    expiresMs: integer(row['expires_ms']),
    ended:
      endedMs === null
        ? undefined
        : {
            ms: integer(endedMs),
            // The table's CHECK allows these three and nothing else.
            how: text(row['ended_how']) as AccessEnd,
            by: optionalText(row['ended_by']),
          },
  };
}
