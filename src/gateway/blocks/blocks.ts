/**
 * Who is kept out now. A block holds from the moment at which it is made, in live sessions too, and
 * outlives a restart; a policy commit neither makes nor lifts one.
 */

import type { BlockRequest, BlockView } from '../../api/blocks.ts';
import { HoopError } from '../../errors.ts';
import type { Principal } from '../../policy/types.ts';
import { errorFields, type Log } from '../base/log.ts';
import { shortId } from '../base/short-id.ts';
import type { EventSteps } from '../events/audit-events.ts';
import {
  type Block,
  type BlockedAs,
  blockedError,
  blockedMarks,
  meansPrincipal,
} from '../identity/block.ts';
import type { Store } from '../store/store.ts';
import { isStoreFault } from '../store/store-watch.ts';
import { BlockStore, type Lifted } from './block-store.ts';

export interface BlocksOptions {
  readonly store: Store;
  readonly events: EventSteps;
  /** Names of the agents of the policy in force. */
  readonly agents: () => ReadonlySet<string>;
  /** Wall clock, ms. */
  readonly clock: () => number;
  readonly log: Log;
}

/** More make each decision slow, and are a group to take out of the policy. */
const MAX_ACTIVE = 1000;

export class Blocks {
  readonly #options: BlocksOptions;
  readonly #store: BlockStore;
  readonly #active = new Map<string, Block>();
  /** Those that are not in the store yet, with who has lifted them since. */
  readonly #unkept = new Map<string, Lifted | undefined>();

  /** Of these, those that the store did not take. */
  readonly #late = new Map<string, Block>();
  #isKeeping = false;

  private constructor(options: BlocksOptions) {
    this.#options = options;
    this.#store = new BlockStore(options.store, options.events);
  }

  /** With those that hold. */
  static async open(options: BlocksOptions): Promise<Blocks> {
    const blocks = new Blocks(options);
    for (const block of await blocks.#store.active(options.clock())) {
      blocks.#active.set(block.id, block);
    }
    return blocks;
  }

  /** The block that keeps this principal out: of the target, or, without one, of everything. */
  find(principal: BlockedAs, target?: string): Block | undefined {
    const nowMs = this.#options.clock();
    for (const block of this.#active.values()) {
      if (
        (block.target === undefined || block.target === target) &&
        !isOver(block, nowMs) &&
        meansPrincipal(block, principal)
      ) {
        return block;
      }
    }
    return undefined;
  }

  /** @throws HOOP_ACCESS_BLOCKED */
  require(principal: Principal, target?: string): void {
    const block = this.find(principal, target);
    if (block !== undefined) {
      throw blockedError(block);
    }
  }

  /**
   * @param known logins that are live
   * @throws HOOP_ACCESS_DENIED, HOOP_USAGE, HOOP_LIMIT; what the store says
   */
  async add(by: Principal, asked: BlockRequest, known: readonly Principal[]): Promise<Block> {
    requireApprover(by);
    const { kind, who } = this.#meaning(asked.who.trim(), known);
    const subjects = kind === 'agent' ? [] : await this.#named(who);
    this.#prune();
    if (this.#active.size >= MAX_ACTIVE) {
      throw new HoopError('HOOP_LIMIT', `there are already ${MAX_ACTIVE} blocks`);
    }
    const { clock, log } = this.#options;
    const createdMs = clock();
    const named = { kind, who, subjects };
    const live = known.filter((one) => kind === 'login' && meansPrincipal(named, one));
    const block: Block = {
      id: shortId(),
      ...named,
      subjects: distinct([...named.subjects, ...live]),
      target: asked.target,
      reason: asked.reason.trim(),
      by: { issuer: by.issuer, sub: by.sub, name: by.name },
      createdMs,
      expiresMs:
        asked.durationSeconds === undefined ? undefined : createdMs + asked.durationSeconds * 1000,
      lifted: undefined,
    };
    // First the right, then the record: a full disk must not keep anybody in.
    this.#active.set(block.id, block);
    this.#unkept.set(block.id, undefined);
    const { id, target } = block;
    log.info('access.blocked', { block: id, kind, who, target, by: by.name, sub: by.sub });
    return block;
  }

  /**
   * To be called when what the block ends was told. One that the store does not take holds here at
   * once, and is written when it can be.
   * @returns false: it will be later
   * @throws what the store says, if not that it is away: then it holds until the gateway stops
   */
  async keep(block: Block): Promise<boolean> {
    try {
      await this.#write(block);
      return true;
    } catch (error) {
      this.#options.log.error('index.write_failed', errorFields(error));
      if (!isStoreFault(error)) throw error;
      return false;
    }
  }

  /**
   * Those that the store has not taken yet. To be called each second; never rejects.
   * @param end what the block ends, now that it is known whom it means; asked again where the store fails
   */
  async keepAll(end: (block: Block) => Promise<void>): Promise<void> {
    if (this.#late.size === 0 || this.#isKeeping) return;
    this.#isKeeping = true;
    try {
      for (const block of [...this.#late.values()]) {
        const whole = await this.#whole(block);
        await this.#write(whole);
        this.#options.log.info('access.block_kept', { block: block.id });
        // Lifted meanwhile, it ends nothing.
        if (this.#active.has(block.id)) await this.#endLate(whole, end);
      }
    } catch (error) {
      if (!isStoreFault(error)) this.#options.log.error('index.write_failed', errorFields(error));
    }
    this.#isKeeping = false;
  }

  async #endLate(block: Block, end: (block: Block) => Promise<void>): Promise<void> {
    try {
      await end(block);
    } catch (error) {
      if (isStoreFault(error)) this.#late.set(block.id, block);
      throw error;
    }
  }

  async #write(block: Block): Promise<void> {
    const { id } = block;
    try {
      await this.#store.add(block);
    } catch (error) {
      this.#late.set(id, block);
      throw error;
    }
    const lifted = this.#unkept.get(id);
    this.#unkept.delete(id);
    this.#late.delete(id);
    if (lifted !== undefined) await this.#store.lift(block, lifted);
  }

  /** Who has had the name was not known while the store was away. */
  async #whole(block: Block): Promise<Block> {
    if (block.kind === 'agent') return block;
    const named = await this.#store.subjectsNamed(block.who);
    const whole = { ...block, subjects: distinct([...block.subjects, ...named]) };
    if (this.#active.has(block.id)) this.#active.set(block.id, whole);
    return whole;
  }

  async #named(who: string): Promise<Block['subjects']> {
    try {
      return await this.#store.subjectsNamed(who);
    } catch (error) {
      if (!isStoreFault(error)) throw error;
      return [];
    }
  }

  /**
   * Another node has blocked somebody, or lifted a block.
   * @returns those that hold now and were not known here
   */
  async heard(): Promise<readonly Block[]> {
    // Of these, all but the unkept were in the store before it is read: who is missing there is over.
    const before = [...this.#active.keys()].filter((id) => !this.#unkept.has(id));
    const known = new Set(this.#active.keys());
    const active = await this.#store.active(this.#options.clock());
    const ids = new Set(active.map(({ id }) => id));
    for (const id of before) if (!ids.has(id)) this.#active.delete(id);
    const added = active.filter(({ id }) => !known.has(id) && !this.#active.has(id));
    for (const block of added) this.#active.set(block.id, block);
    return added;
  }

  /** @throws HOOP_ACCESS_DENIED, HOOP_APPROVAL_UNKNOWN, HOOP_APPROVAL_ENDED */
  async lift(by: Principal, id: string): Promise<Block> {
    requireApprover(by);
    const block = this.#active.get(id) ?? (await this.#store.list()).find((one) => one.id === id);
    if (block === undefined) {
      throw new HoopError('HOOP_APPROVAL_UNKNOWN', 'there is no such block', {
        hint: '`hoop access blocks` lists them.',
      });
    }
    if (meansPrincipal(block, by)) {
      throw new HoopError('HOOP_ACCESS_DENIED', 'you cannot lift a block on yourself', {
        hint: 'Another approver can.',
      });
    }
    const nowMs = this.#options.clock();
    if (block.lifted !== undefined || isOver(block, nowMs)) {
      throw isOverAlready();
    }
    const lifted = { ms: nowMs, by: by.name };
    // The other way round: what is not on disk would come back at the next start.
    const isLifted = await this.#lift(block, { ms: nowMs, by });
    if (!isLifted && !this.#active.has(id)) throw isOverAlready();
    this.#active.delete(id);
    this.#options.log.info('access.unblocked', { block: id, who: block.who, by: by.name });
    return { ...block, lifted };
  }

  /** Newest first: everybody's for approvers and auditors, else those that mean the caller. */
  async list(who: Principal): Promise<readonly BlockView[]> {
    const seesAll = who.roles.includes('approver') || who.roles.includes('auditor');
    return (await this.#store.list())
      .filter((block) => seesAll || meansPrincipal(block, who))
      .map((block) => this.view(block));
  }

  view(block: Block): BlockView {
    const { id, kind, who, subjects, target, reason, by, createdMs, expiresMs, lifted } = block;
    const isExpired = isOver(block, this.#options.clock());
    return {
      id,
      kind,
      who,
      subjects: accounts(subjects),
      ...(target === undefined ? {} : { target }),
      reason,
      blockedBy: by.name,
      blockedAt: new Date(createdMs).toISOString(),
      ...(expiresMs === undefined ? {} : { expiresAt: new Date(expiresMs).toISOString() }),
      state: lifted !== undefined ? 'lifted' : isExpired ? 'expired' : 'active',
      ...(lifted === undefined
        ? {}
        : { liftedBy: lifted.by, liftedAt: new Date(lifted.ms).toISOString() }),
    };
  }

  /** @returns false: it was not in the store, or somebody else has lifted it */
  async #lift(block: Block, lifted: Lifted): Promise<boolean> {
    if (await this.#store.lift(block, lifted)) return true;
    if (!this.#unkept.has(block.id)) {
      // It may have come there just now.
      return this.#store.lift(block, lifted);
    }
    this.#unkept.set(block.id, lifted);
    return false;
  }

  #meaning(typed: string, known: readonly Principal[]): Pick<Block, 'kind' | 'who'> {
    const [, prefix, rest = ''] = /^(user|agent):(.+)$/s.exec(typed) ?? [];
    if (prefix !== undefined) {
      return { kind: prefix === 'agent' ? 'agent' : 'login', who: rest };
    }
    if (!this.#options.agents().has(typed)) {
      return { kind: 'login', who: typed };
    }
    const login = { kind: 'login', who: typed, subjects: [] } as const;
    if (known.some((one) => one.isAgent !== true && meansPrincipal(login, one))) {
      throw new HoopError('HOOP_USAGE', 'both an agent and a login have this name', {
        hint: `Write agent:${typed} or user:${typed}.`,
      });
    }
    return { kind: 'agent', who: typed };
  }

  #prune(): void {
    const nowMs = this.#options.clock();
    for (const [id, block] of this.#active) {
      if (isOver(block, nowMs)) {
        this.#active.delete(id);
      }
    }
  }
}

function isOverAlready(): HoopError {
  return new HoopError('HOOP_APPROVAL_ENDED', 'the block is already over');
}

function isOver({ expiresMs }: Block, nowMs: number): boolean {
  return expiresMs !== undefined && expiresMs <= nowMs;
}

/** @throws HOOP_ACCESS_DENIED */
function requireApprover({ roles, isAgent, viaDevice }: Principal): void {
  if (!roles.includes('approver') || isAgent === true || viaDevice === true) {
    throw new HoopError(
      'HOOP_ACCESS_DENIED',
      'only an approver can block somebody or lift a block',
      {
        detail: 'The policy (hoop.yaml, `roles.approver`) names the groups of approvers.',
      },
    );
  }
}

function distinct(subjects: Block['subjects']): Block['subjects'] {
  const all = new Map(subjects.map(blockedMarks).map((marks) => [JSON.stringify(marks), marks]));
  return [...all.values()];
}

/** Once each, and without what else tells its person from others. */
function accounts(subjects: Block['subjects']): BlockView['subjects'] {
  const all = new Map(
    subjects.map(({ issuer, sub }) => [JSON.stringify([issuer, sub]), { issuer, sub }]),
  );
  return [...all.values()];
}
