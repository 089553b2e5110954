/** Blocks in the gateway's store; durable when a promise resolves. */
import * as z from 'zod';
import type { Principal } from '../../policy/types.ts';
import type { EventSteps, NewEvent } from '../events/audit-events.ts';
import { eventParty } from '../events/event-party.ts';
import type { Block } from '../identity/block.ts';
import { tellNodes } from '../nodes/node-changes.ts';
import {
  change,
  integer,
  nullable,
  optionalText,
  type SqlValues,
  type Store,
  sql,
  text,
  type Work,
} from '../store/store.ts';

type Blocked = Extract<NewEvent, { type: 'access.blocked' }>;

const MAX_LISTED = 500;
const MAX_SUBJECTS = 100;
const Subjects = z.array(
  z.object({
    issuer: z.string(),
    sub: z.string(),
    subject: z.string().exactOptional(),
    verifiedEmail: z.string().exactOptional(),
  }),
);

/** Who lifts a block, and when. */
export interface Lifted {
  readonly ms: number;
  readonly by: Pick<Principal, 'issuer' | 'sub' | 'name'>;
}

export class BlockStore {
  readonly #store: Store;
  readonly #events: EventSteps;

  constructor(store: Store, events: EventSteps) {
    this.#store = store;
    this.#events = events;
  }

  async add(block: Block): Promise<void> {
    const events = this.#events;
    const values: SqlValues = {
      id: block.id,
      kind: block.kind,
      who: block.who,
      subjects: JSON.stringify(block.subjects),
      target: nullable(block.target),
      reason: block.reason,
      byIssuer: block.by.issuer,
      bySub: block.by.sub,
      byName: block.by.name,
      createdMs: block.createdMs,
      expiresMs: nullable(block.expiresMs),
    };
    await this.#store.transaction(function* () {
      // It is there, where only the answer was lost.
      if ((yield* change(INSERT, values)) === 0) return;
      yield* events.add(blocked(block));
      yield* tellNodes('blocks');
    });
  }

  /** @returns false: somebody else has lifted it. */
  async lift(block: Block, { ms, by }: Lifted): Promise<boolean> {
    const events = this.#events;
    const { id } = block;
    return this.#store.transaction(function* (): Work<boolean> {
      const isLifted = (yield* change(LIFT, { id, ms, by: by.name })) === 1;
      if (isLifted) {
        const { who, target } = blocked(block);
        yield* events.add({ type: 'access.unblocked', block: id, who, target, by: eventParty(by) });
        yield* tellNodes('blocks');
      }
      return isLifted;
    });
  }

  /** Not lifted, and not over at that time. */
  async active(nowMs: number): Promise<Block[]> {
    return (await this.#store.all(ACTIVE, { nowMs })).map(blockOf);
  }

  /** Newest first. */
  async list(): Promise<Block[]> {
    return (await this.#store.all(LIST, { limit: MAX_LISTED })).map(blockOf);
  }

  /** Whoever has had a session under this name or subject. */
  async subjectsNamed(who: string): Promise<Block['subjects']> {
    const rows = await this.#store.all(NAMED, { who, limit: MAX_SUBJECTS });
    return rows.map((row) => {
      const subject = optionalText(row['subject']);
      const verifiedEmail = optionalText(row['verified_email']);
      return {
        issuer: text(row['issuer']),
        sub: text(row['sub']),
        ...(subject === undefined ? {} : { subject }),
        ...(verifiedEmail === undefined ? {} : { verifiedEmail }),
      };
    });
  }
}

const INSERT = sql(
  `INSERT INTO blocks (id, kind, who, subjects, target, reason, by_issuer, by_sub, by_name,
     created_ms, expires_ms)
   VALUES ($id, $kind, $who, $subjects, $target, $reason, $byIssuer, $bySub, $byName, $createdMs,
     $expiresMs)
   ON CONFLICT (id) DO NOTHING`,
);
const LIFT = sql(
  'UPDATE blocks SET lifted_ms = $ms, lifted_by = $by WHERE id = $id AND lifted_ms IS NULL',
);
const ACTIVE = sql(
  'SELECT * FROM blocks WHERE lifted_ms IS NULL AND (expires_ms IS NULL OR expires_ms > $nowMs)',
);
const LIST = sql('SELECT * FROM blocks ORDER BY created_ms DESC, id DESC LIMIT $limit');
const NAMED = sql(
  `SELECT DISTINCT issuer, sub, subject, verified_email FROM sessions
   WHERE lower(CAST($who AS TEXT)) IN (lower(name), lower(sub), lower(subject)) LIMIT $limit`,
);

/** Who is meant: an account where it is known, else what was typed. The reason is a person's own words. */
function blocked({ id, kind, who, subjects, target, by, expiresMs }: Block): Blocked {
  const [{ issuer, sub } = { issuer: '', sub: '' }] = subjects;
  return {
    type: 'access.blocked',
    who: { issuer, sub, name: who, ...(kind === 'agent' ? { agent: who, agentItself: true } : {}) },
    by: eventParty(by),
    target,
    block: id,
    kind,
    expires: expiresMs === undefined ? undefined : new Date(expiresMs).toISOString(),
  };
}

function blockOf(row: Record<string, unknown>): Block {
  const liftedMs = row['lifted_ms'];
  const expiresMs = row['expires_ms'];
  return {
    id: text(row['id']),
    // The table's CHECK allows these two and nothing else.
    kind: text(row['kind']) as Block['kind'],
    who: text(row['who']),
    subjects: Subjects.parse(JSON.parse(text(row['subjects']))),
    target: optionalText(row['target']),
    reason: text(row['reason']),
    by: { issuer: text(row['by_issuer']), sub: text(row['by_sub']), name: text(row['by_name']) },
    createdMs: integer(row['created_ms']),
    expiresMs: expiresMs === null ? undefined : integer(expiresMs),
    lifted: liftedMs === null ? undefined : { ms: integer(liftedMs), by: text(row['lifted_by']) },
  };
}
