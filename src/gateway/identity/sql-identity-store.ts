/** Logins and used tokens in the gateway's store. Every write is durable when its promise resolves. */
import type { EventSteps } from '../events/audit-events.ts';
import { tellNodes } from '../nodes/node-changes.ts';
import {
  all,
  change,
  get,
  integer,
  locking,
  nullable,
  optionalText,
  type Row,
  type Sql,
  type SqlValues,
  type Store,
  sql,
  text,
  type Work,
} from '../store/store.ts';
import type {
  BoundToken,
  IdentityStore,
  LoginEnd,
  ProviderLogout,
  RefreshFamily,
  RevokedLogins,
} from './identity-store.ts';
import { loginBegun, loginEnded } from './login-events.ts';

export class SqlIdentityStore implements IdentityStore {
  readonly #store: Store;
  readonly #events: EventSteps;

  constructor(store: Store, events: EventSteps) {
    this.#store = store;
    this.#events = events;
  }

  async spendOnce(digest: string, expiresAtMs: number): Promise<boolean> {
    const expiresMs = Math.ceil(expiresAtMs);
    return (await this.#store.change(SPEND_ONCE, { digest, expiresMs })) === 1;
  }

  bindToken(token: BoundToken): Promise<{ jkt: string; revoked: boolean }> {
    const { digest, issuer, sub, jkt } = token;
    const expiresMs = Math.ceil(token.expiresAtMs);
    return this.#store.transaction(function* () {
      yield* change(BIND_TOKEN, { digest, issuer, sub, jkt, expiresMs });
      const row = yield* get(BOUND_TO, { digest });
      return { jkt: text(row?.['jkt']), revoked: integer(row?.['revoked']) === 1 };
    });
  }

  async revokeTokens(of: { issuer: string; sub: string; jkt?: string }): Promise<void> {
    const { issuer, sub } = of;
    await this.#store.change(REVOKE_TOKENS, { issuer, sub, jkt: nullable(of.jkt) });
  }

  createFamily(family: RefreshFamily, from?: string): Promise<boolean> {
    const { parent } = family;
    const events = this.#events;
    const values = valuesOf(family);
    return this.#store.transaction(function* () {
      // Locked: a parent that ends meanwhile waits, and then takes this one with it.
      if (parent !== undefined && (yield* get(LIVE_PARENT, { parent })) === undefined) return false;
      yield* change(CREATE_FAMILY, values);
      yield* events.add(loginBegun(family, from));
      return true;
    });
  }

  async countRuns(
    { issuer, sub }: { issuer: string; sub: string },
    nowMs: number,
  ): Promise<number> {
    return integer((await this.#store.get(COUNT_RUNS, { issuer, sub, nowMs }))?.['count']);
  }

  async readFamily(id: string): Promise<RefreshFamily | undefined> {
    const row = await this.#store.get(READ_FAMILY, { id });
    return row && familyOf(row);
  }

  async liveFamilies(nowMs: number): Promise<readonly RefreshFamily[]> {
    return (await this.#store.all(LIVE_FAMILIES, { nowMs })).map(familyOf);
  }

  async advanceFamily(id: string, generation: number, rotatedMs: number): Promise<boolean> {
    return (await this.#store.change(ADVANCE_FAMILY, { id, generation, rotatedMs })) === 1;
  }

  extendFamily(
    { issuer, sub, jkt }: Pick<RefreshFamily, 'issuer' | 'sub' | 'jkt'>,
    { claims, expiresAtMs }: Pick<RefreshFamily, 'claims' | 'expiresAtMs'>,
    nowMs: number,
  ): Promise<RefreshFamily | undefined> {
    return this.#store.transaction(function* () {
      const found = yield* get(FIND_FAMILY, { issuer, sub, jkt, nowMs });
      if (found === undefined) return undefined;
      const id = text(found['id']);
      yield* change(EXTEND_FAMILY, { id, claims, expiresMs: Math.floor(expiresAtMs), nowMs });
      const row = yield* get(READ_FAMILY, { id });
      yield* tellNodes('logins');
      return row && familyOf(row);
    });
  }

  async confirmFamily(id: string, claims: string): Promise<void> {
    await this.#store.transaction(function* () {
      if ((yield* change(CONFIRM_FAMILY, { id, claims })) > 0) yield* tellNodes('logins');
    });
  }

  revokeFamilies(
    which: RevokedLogins,
    why?: string,
    end: LoginEnd = { how: 'ended' },
  ): Promise<readonly string[]> {
    const because = nullable(why);
    const events = this.#events;
    return this.#store.transaction(function* () {
      const ended = yield* 'id' in which
        ? revokeAll(REVOKE_FAMILY, { id: which.id, because })
        : revokeAll(REVOKE_PERSON, { issuer: which.issuer, sub: which.sub, because });
      yield* events.add(...ended.map((family) => loginEnded(family, end)));
      if (ended.length > 0) yield* tellNodes('logins');
      return ended.map(({ id }) => id);
    });
  }

  async addProviderLogout(logout: ProviderLogout, expiresAtMs: number): Promise<void> {
    const { issuer, sub, sid, issuedAt } = logout;
    await this.#store.change(ADD_PROVIDER_LOGOUT, {
      issuer,
      sub: nullable(sub),
      sid: nullable(sid),
      issuedAt,
      expiresMs: Math.ceil(expiresAtMs),
    });
  }

  async providerLogouts(issuer: string, nowMs: number): Promise<readonly ProviderLogout[]> {
    return (await this.#store.all(PROVIDER_LOGOUTS, { issuer, nowMs })).map((row) => ({
      issuer: text(row['issuer']),
      sub: optionalText(row['sub']),
      sid: optionalText(row['sid']),
      issuedAt: Number(row['issued_s']),
    }));
  }

  async prune(nowMs: number): Promise<void> {
    await this.#store.transaction(function* () {
      for (const forget of FORGET) yield* change(forget, { nowMs });
    });
  }
}

/**
 * Until there is none left: one that was being made while the first round waited for its parent is
 * seen by the next, and none can be made from one that has ended.
 */
function* revokeAll(revoke: Sql, values: SqlValues): Work<readonly RefreshFamily[]> {
  const ended: RefreshFamily[] = [];
  for (;;) {
    const rows = yield* all(revoke, values);
    if (rows.length === 0) return ended;
    ended.push(...rows.map(familyOf));
  }
}

function valuesOf(family: RefreshFamily): SqlValues {
  return {
    id: family.id,
    issuer: family.issuer,
    sub: family.sub,
    jkt: family.jkt,
    generation: family.generation,
    rotatedMs: family.rotatedAtMs,
    createdMs: family.createdAtMs,
    expiresMs: family.expiresAtMs,
    claims: family.claims,
    revoked: family.revoked ? 1 : 0,
    parent: nullable(family.parent),
    run: nullable(family.run),
  };
}

function familyOf(row: Row): RefreshFamily {
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

const SPEND_ONCE = sql('INSERT INTO spent VALUES ($digest, $expiresMs) ON CONFLICT DO NOTHING');
const BIND_TOKEN = sql(
  `INSERT INTO bound_tokens (digest, jkt, expires_ms, issuer, sub)
   VALUES ($digest, $jkt, $expiresMs, $issuer, $sub) ON CONFLICT DO NOTHING`,
);
const BOUND_TO = sql('SELECT jkt, revoked FROM bound_tokens WHERE digest = $digest');
const REVOKE_TOKENS = sql(
  `UPDATE bound_tokens SET revoked = 1
   WHERE issuer = $issuer AND sub = $sub AND (CAST($jkt AS TEXT) IS NULL OR jkt = $jkt)`,
);
const LIVE_PARENT = locking(
  'SELECT id FROM refresh_families WHERE id = $parent AND revoked = 0',
  'FOR SHARE',
);
const CREATE_FAMILY = sql(
  `INSERT INTO refresh_families (id, issuer, sub, jkt, generation, rotated_ms, created_ms,
     expires_ms, claims, revoked, parent, run)
   VALUES ($id, $issuer, $sub, $jkt, $generation, $rotatedMs, $createdMs, $expiresMs, $claims,
     $revoked, $parent, $run)`,
);
const COUNT_RUNS = sql(
  `SELECT count(*) AS count FROM refresh_families
   WHERE issuer = $issuer AND sub = $sub AND run IS NOT NULL AND revoked = 0
     AND expires_ms > $nowMs`,
);
const READ_FAMILY = sql('SELECT * FROM refresh_families WHERE id = $id');
const LIVE_FAMILIES = sql(
  'SELECT * FROM refresh_families WHERE revoked = 0 AND expires_ms > $nowMs ORDER BY rowid',
);
const ADVANCE_FAMILY = sql(
  `UPDATE refresh_families SET generation = generation + 1, rotated_ms = $rotatedMs
   WHERE id = $id AND generation = $generation AND revoked = 0`,
);
const FIND_FAMILY = locking(
  `SELECT id FROM refresh_families
   WHERE issuer = $issuer AND sub = $sub AND jkt = $jkt AND run IS NULL AND revoked = 0
     AND expires_ms > $nowMs
   ORDER BY rowid LIMIT 1`,
  'FOR UPDATE',
);
const EXTEND_FAMILY = sql(
  `WITH RECURSIVE extended (id) AS (
     SELECT id FROM refresh_families WHERE id = $id
     UNION SELECT f.id FROM refresh_families f JOIN extended ON f.parent = extended.id
     WHERE f.revoked = 0 AND f.expires_ms > $nowMs)
   UPDATE refresh_families SET claims = $claims, expires_ms = $expiresMs
   WHERE id IN (SELECT id FROM extended) AND revoked = 0 AND expires_ms > $nowMs`,
);
const CONFIRM_FAMILY = sql(
  `WITH RECURSIVE confirmed (id) AS (
     SELECT id FROM refresh_families WHERE id = $id
     UNION SELECT f.id FROM refresh_families f JOIN confirmed ON f.parent = confirmed.id)
   UPDATE refresh_families SET claims = $claims
   WHERE id IN (SELECT id FROM confirmed) AND revoked = 0`,
);
const REVOKE_FAMILY = sql(
  `WITH RECURSIVE ended (id) AS (
     SELECT id FROM refresh_families WHERE id = $id
     UNION SELECT f.id FROM refresh_families f JOIN ended ON f.parent = ended.id)
   UPDATE refresh_families SET revoked = 1, revoked_because = $because
   WHERE id IN (SELECT id FROM ended) AND revoked = 0 RETURNING *`,
);
// Runs have the issuer and subject of the login that they were made from.
const REVOKE_PERSON = sql(
  `UPDATE refresh_families SET revoked = 1, revoked_because = $because
   WHERE issuer = $issuer AND sub = $sub AND revoked = 0 RETURNING *`,
);
const ADD_PROVIDER_LOGOUT = sql(
  'INSERT INTO provider_logouts VALUES ($issuer, $sub, $sid, $issuedAt, $expiresMs)',
);
const PROVIDER_LOGOUTS = sql(
  'SELECT * FROM provider_logouts WHERE issuer = $issuer AND expires_ms > $nowMs',
);
/** A login is kept for as long as its sessions, and those of runs that were made from it. */
const OF_NOTHING = `NOT EXISTS (SELECT 1 FROM sessions WHERE family = refresh_families.id)
  AND NOT EXISTS (SELECT 1 FROM refresh_families run WHERE run.parent = refresh_families.id)`;
const FORGET = [
  ...['spent', 'bound_tokens', 'provider_logouts'].map((table) =>
    sql(`DELETE FROM ${table} WHERE expires_ms < $nowMs`),
  ),
  sql(`DELETE FROM refresh_families WHERE expires_ms < $nowMs AND ${OF_NOTHING}`),
];
