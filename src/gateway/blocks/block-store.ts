/** Blocks in the index; durable when a call returns. */
import * as z from 'zod';
import { type IndexStore, integer, nullable, optionalText, text } from '../index/index-store.ts';
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
  readonly #statements: ReturnType<typeof prepareAll>;

  constructor(store: IndexStore) {
    this.#statements = prepareAll(store);
  }

  add(block: Block): void {
    this.#statements.insert.run(
      block.id,
      block.kind,
      block.who,
      JSON.stringify(block.subjects),
      nullable(block.target),
      block.reason,
      block.by.issuer,
      block.by.sub,
      block.by.name,
      block.createdMs,
      nullable(block.expiresMs),
    );
  }

  lift(id: string, { ms, by }: NonNullable<Block['lifted']>): void {
    this.#statements.lift.run(ms, by, id);
  }

  /** Not lifted, and not over at that time. */
  active(nowMs: number): Block[] {
    return this.#statements.active.all(nowMs).map(blockOf);
  }

  /** Newest first. */
  list(): Block[] {
    return this.#statements.list.all(MAX_LISTED).map(blockOf);
  }

  /** Whoever has had a session under this name or subject. */
  subjectsNamed(who: string): Block['subjects'] {
    return this.#statements.named.all({ who, most: MAX_SUBJECTS }).map((row) => {
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

function prepareAll({ database }: IndexStore) {
  return {
    insert: database.prepare(
      `INSERT INTO blocks (id, kind, who, subjects, target, reason, by_issuer, by_sub, by_name,
         created_ms, expires_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    lift: database.prepare('UPDATE blocks SET lifted_ms = ?, lifted_by = ? WHERE id = ?'),
    active: database.prepare(
      'SELECT * FROM blocks WHERE lifted_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?)',
    ),
    list: database.prepare('SELECT * FROM blocks ORDER BY created_ms DESC, id DESC LIMIT ?'),
    named: database.prepare(
      `SELECT DISTINCT issuer, sub, subject, verified_email FROM sessions
       WHERE lower($who) IN (lower(name), lower(sub), lower(subject)) LIMIT $most`,
    ),
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
