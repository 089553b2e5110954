/** Logins and used tokens in the index. Every write is durable when its promise resolves. */

import { type IndexStore, integer, nullable, optionalText, text } from '../index/index-store.ts';
import type {
  BoundToken,
  IdentityStore,
  ProviderLogout,
  RefreshFamily,
  RevokedLogins,
} from './identity-store.ts';

export class SqliteIdentityStore implements IdentityStore {
  readonly #store: IndexStore;
  readonly #statements: ReturnType<typeof prepareAll>;

  constructor(store: IndexStore) {
    this.#store = store;
    this.#statements = prepareAll(store);
  }

  async spendOnce(digest: string, expiresAtMs: number): Promise<boolean> {
    return this.#statements.spendOnce.run(digest, Math.ceil(expiresAtMs)).changes === 1;
  }

  async bindToken(token: BoundToken): Promise<{ jkt: string; revoked: boolean }> {
    const { digest, issuer, sub, jkt, expiresAtMs } = token;
    this.#statements.bindToken.run(digest, jkt, Math.ceil(expiresAtMs), issuer, sub);
    const row = this.#statements.boundTo.get(digest);
    return { jkt: text(row?.['jkt']), revoked: integer(row?.['revoked']) === 1 };
  }

  async revokeTokens(of: { issuer: string; sub: string; jkt?: string }): Promise<void> {
    const jkt = nullable(of.jkt);
    this.#statements.revokeTokens.run(of.issuer, of.sub, jkt, jkt);
  }

  async createFamily(family: RefreshFamily): Promise<boolean> {
    const parent = nullable(family.parent);
    const { changes } = this.#statements.createFamily.run(
      family.id,
      family.issuer,
      family.sub,
      family.jkt,
      family.generation,
      family.rotatedAtMs,
      family.createdAtMs,
      family.expiresAtMs,
      family.claims,
      family.revoked ? 1 : 0,
      parent,
      nullable(family.run),
      parent,
      parent,
    );
    return changes === 1;
  }

  async countRuns(
    { issuer, sub }: { issuer: string; sub: string },
    nowMs: number,
  ): Promise<number> {
    return integer(this.#statements.countRuns.get(issuer, sub, nowMs)?.['count']);
  }

  async readFamily(id: string): Promise<RefreshFamily | undefined> {
    const row = this.#statements.readFamily.get(id);
    return row && familyOf(row);
  }

  async liveFamilies(nowMs: number): Promise<readonly RefreshFamily[]> {
    return this.#statements.liveFamilies.all(nowMs).map(familyOf);
  }

  async advanceFamily(id: string, fromGeneration: number, rotatedAtMs: number): Promise<boolean> {
    return this.#statements.advanceFamily.run(rotatedAtMs, id, fromGeneration).changes === 1;
  }

  async extendFamily(
    { issuer, sub, jkt }: Pick<RefreshFamily, 'issuer' | 'sub' | 'jkt'>,
    to: Pick<RefreshFamily, 'claims' | 'expiresAtMs'>,
    nowMs: number,
  ): Promise<RefreshFamily | undefined> {
    const row = this.#statements.findFamily.get(issuer, sub, jkt, nowMs);
    if (row === undefined) {
      return undefined;
    }
    const id = text(row['id']);
    this.#statements.extendFamily.run(id, nowMs, to.claims, Math.floor(to.expiresAtMs), nowMs);
    return this.readFamily(id);
  }

  async confirmFamily(id: string, claims: string): Promise<void> {
    this.#statements.confirmFamily.run(id, claims);
  }

  async revokeFamilies(which: RevokedLogins, why?: string): Promise<readonly string[]> {
    const because = nullable(why);
    const rows =
      'id' in which
        ? this.#statements.revokeFamily.all(which.id, because)
        : this.#statements.revokePerson.all(because, which.issuer, which.sub);
    return rows.map((row) => text(row['id']));
  }

  async addProviderLogout(
    { issuer, sub, sid, issuedAt }: ProviderLogout,
    expiresAtMs: number,
  ): Promise<void> {
    this.#statements.addProviderLogout.run(
      issuer,
      nullable(sub),
      nullable(sid),
      issuedAt,
      Math.ceil(expiresAtMs),
    );
  }

  async providerLogouts(issuer: string, nowMs: number): Promise<readonly ProviderLogout[]> {
    return this.#statements.providerLogouts.all(issuer, nowMs).map((row) => ({
      issuer: text(row['issuer']),
      sub: optionalText(row['sub']),
      sid: optionalText(row['sid']),
      issuedAt: Number(row['issued_s']),
    }));
  }

  async prune(nowMs: number): Promise<void> {
    this.#store.transaction(() => {
      this.#statements.pruneUsed.run(nowMs);
      this.#statements.pruneBound.run(nowMs);
      this.#statements.pruneFamilies.run(nowMs);
      this.#statements.pruneLogouts.run(nowMs);
    });
  }
}

function prepareAll({ database }: IndexStore) {
  return {
    spendOnce: database.prepare('INSERT INTO spent VALUES (?, ?) ON CONFLICT DO NOTHING'),
    bindToken: database.prepare(
      `INSERT INTO bound_tokens (digest, jkt, expires_ms, issuer, sub) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO NOTHING`,
    ),
    boundTo: database.prepare('SELECT jkt, revoked FROM bound_tokens WHERE digest = ?'),
    revokeTokens: database.prepare(
      `UPDATE bound_tokens SET revoked = 1
       WHERE issuer = ? AND sub = ? AND (? IS NULL OR jkt = ?)`,
    ),
    pruneBound: database.prepare('DELETE FROM bound_tokens WHERE expires_ms < ?'),
    findFamily: database.prepare(
      `SELECT id FROM refresh_families
       WHERE issuer = ? AND sub = ? AND jkt = ? AND run IS NULL AND revoked = 0 AND expires_ms > ?
       LIMIT 1`,
    ),
    extendFamily: database.prepare(
      `WITH RECURSIVE extended (id) AS (
         SELECT ? UNION SELECT f.id FROM refresh_families f JOIN extended ON f.parent = extended.id
         WHERE f.revoked = 0 AND f.expires_ms > ?)
       UPDATE refresh_families SET claims = ?, expires_ms = ?
       WHERE id IN (SELECT id FROM extended) AND revoked = 0 AND expires_ms > ?`,
    ),
    confirmFamily: database.prepare(
      `WITH RECURSIVE confirmed (id) AS (
         SELECT ? UNION SELECT f.id FROM refresh_families f JOIN confirmed ON f.parent = confirmed.id)
       UPDATE refresh_families SET claims = ? WHERE id IN (SELECT id FROM confirmed) AND revoked = 0`,
    ),
    createFamily: database.prepare(
      `INSERT INTO refresh_families (id, issuer, sub, jkt, generation, rotated_ms, created_ms,
         expires_ms, claims, revoked, parent, run)
       SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
       WHERE ? IS NULL OR EXISTS (SELECT 1 FROM refresh_families WHERE id = ? AND revoked = 0)`,
    ),
    countRuns: database.prepare(
      `SELECT count(*) AS count FROM refresh_families
       WHERE issuer = ? AND sub = ? AND run IS NOT NULL AND revoked = 0 AND expires_ms > ?`,
    ),
    readFamily: database.prepare('SELECT * FROM refresh_families WHERE id = ?'),
    liveFamilies: database.prepare(
      'SELECT * FROM refresh_families WHERE revoked = 0 AND expires_ms > ?',
    ),
    advanceFamily: database.prepare(
      `UPDATE refresh_families SET generation = generation + 1, rotated_ms = ?
       WHERE id = ? AND generation = ? AND revoked = 0`,
    ),
    revokeFamily: database.prepare(
      `WITH RECURSIVE ended (id) AS (
         SELECT ? UNION SELECT f.id FROM refresh_families f JOIN ended ON f.parent = ended.id)
       UPDATE refresh_families SET revoked = 1, revoked_because = ?
       WHERE id IN (SELECT id FROM ended) AND revoked = 0 RETURNING id`,
    ),
    revokePerson: database.prepare(
      // Runs have the issuer and subject of the login that they were made from.
      `UPDATE refresh_families SET revoked = 1, revoked_because = ?
       WHERE issuer = ? AND sub = ? AND revoked = 0 RETURNING id`,
    ),
    addProviderLogout: database.prepare('INSERT INTO provider_logouts VALUES (?, ?, ?, ?, ?)'),
    providerLogouts: database.prepare(
      'SELECT * FROM provider_logouts WHERE issuer = ? AND expires_ms > ?',
    ),
    pruneLogouts: database.prepare('DELETE FROM provider_logouts WHERE expires_ms < ?'),
    pruneUsed: database.prepare('DELETE FROM spent WHERE expires_ms < ?'),
    pruneFamilies: database.prepare('DELETE FROM refresh_families WHERE expires_ms < ?'),
  };
}

function familyOf(row: Record<string, unknown>): RefreshFamily {
  const parent = optionalText(row['parent']);
  const run = optionalText(row['run']);
  const revokedBecause = optionalText(row['revoked_because']);
  return {
    id: text(row['id']),
    issuer: text(row['issuer']),
    sub: text(row['sub']),
    jkt: text(row['jkt']),
    generation: integer(row['generation']),
    rotatedAtMs: integer(row['rotated_ms']),
    createdAtMs: integer(row['created_ms']),
    expiresAtMs: integer(row['expires_ms']),
    claims: text(row['claims']),
    revoked: integer(row['revoked']) === 1,
    ...(revokedBecause === undefined ? {} : { revokedBecause }),
    ...(parent === undefined ? {} : { parent }),
    ...(run === undefined ? {} : { run }),
  };
}
