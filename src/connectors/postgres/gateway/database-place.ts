/** Which database a connection is to. */
import { flag, number, type Row } from './catalog-rows.ts';
import type { DatabasePlace } from './types.ts';

/**
 * pg_control_system() is open to everyone unless somebody has revoked it, and a permission is looked
 * at before any CASE around the call: so it is asked for first.
 */
const PLACE_SQL = `SELECT b.oid::pg_catalog.text, pg_catalog.pg_is_in_recovery()::pg_catalog.text,
  (SELECT pg_catalog.has_function_privilege(p.oid, 'EXECUTE') FROM pg_catalog.pg_proc p
    WHERE p.proname OPERATOR(pg_catalog.=) 'pg_control_system'::pg_catalog.name
      AND p.pronamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace::pg_catalog.oid
    LIMIT 1)::pg_catalog.text
FROM pg_catalog.pg_database b
WHERE b.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()`;
const SYSTEM_SQL =
  'SELECT c.system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system() c';

export async function readPlace(
  query: (sql: string) => Promise<readonly Row[]>,
): Promise<DatabasePlace> {
  const [place = []] = await query(PLACE_SQL);
  const [oid, isInRecovery, mayAsk] = place;
  const [system = []] = flag(mayAsk) ? await query(SYSTEM_SQL) : [];
  return {
    system: system[0] ?? undefined,
    database: number(oid),
    isPrimary: !flag(isInRecovery),
  };
}
