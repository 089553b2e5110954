/** Blocks in the gateway's store; durable when a promise resolves. */
import * as z from 'zod';
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
import type { Block } from './block.ts';

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

export class BlockStore {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async add(block: Block): Promise<void> {
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
      yield* change(INSERT, values);
      yield* tellNodes('blocks');
    });
  }

  /** @returns false: somebody else has lifted it. */
  async lift(id: string, { ms, by }: NonNullable<Block['lifted']>): Promise<boolean> {
    return this.#store.transaction(function* (): Work<boolean> {
      const isLifted = (yield* change(LIFT, { id, ms, by })) === 1;
      if (isLifted) yield* tellNodes('blocks');
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
     $expiresMs)`,
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
