/**
 * The questions to the target's system catalogs, PostgreSQL 13 to 18. Names are qualified and the
 * connection runs with an empty search_path, so that definitions come back with qualified names.
 */

/** OIDs below belong to objects that initdb made (FirstNormalObjectId). */
const USER = 16_384;

export const SERVER = `
SELECT pg_catalog.current_setting('server_version_num'), pg_catalog.current_database(),
  EXISTS (SELECT 1 FROM pg_catalog.pg_event_trigger WHERE evtenabled <> 'D')`;

export const SCHEMAS = 'SELECT nspname FROM pg_catalog.pg_namespace ORDER BY oid';

/** oid, schema, name, kind, row type, row security, view definition */
export const RELATIONS = `
SELECT c.oid, n.nspname, c.relname, c.relkind, c.reltype, c.relrowsecurity,
  CASE WHEN c.relkind IN ('v', 'm') AND c.oid >= ${USER}
       THEN pg_catalog.pg_get_viewdef(c.oid) END
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c', 'S', 't')
ORDER BY c.oid`;

/** relation, attnum, name, type, dropped, generation expression */
export const COLUMNS = `
SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.attisdropped,
  CASE WHEN a.attgenerated <> '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END
FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attnum > 0 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c', 'S', 't')
ORDER BY a.attrelid, a.attnum`;

/** relation, bits of pg_trigger.tgtype (src/include/catalog/pg_trigger.h), digest; only users' triggers */
export const TRIGGERS = `
SELECT t.tgrelid, t.tgtype, pg_catalog.md5(pg_catalog.to_jsonb(t)::pg_catalog.text)
FROM pg_catalog.pg_trigger t WHERE NOT tgisinternal ORDER BY oid`;

/** relation, event: 2 UPDATE, 3 INSERT, 4 DELETE, digest; but for the rule that makes a view a view */
export const RULES = `
SELECT r.ev_class, r.ev_type, pg_catalog.md5(pg_catalog.to_jsonb(r)::pg_catalog.text)
FROM pg_catalog.pg_rewrite r
WHERE rulename <> '_RETURN' AND oid >= ${USER} ORDER BY oid`;

/** referencing table, referenced table, action on DELETE, action on UPDATE */
export const FOREIGN_KEYS = `
SELECT conrelid, confrelid, confdeltype, confupdtype FROM pg_catalog.pg_constraint
WHERE contype = 'f' ORDER BY oid`;

/** child, parent */
export const INHERITS = `
SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits i
  JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
WHERE c.relkind IN ('r', 'p', 'f') ORDER BY 1, 2`;

/**
 * oid, schema, name, kind, volatility, result, returns set, argument types, language, security
 * definer, extension, variadic, defaults, all argument types, their modes, their names, and of what
 * is not built in a digest of everything, its body above all
 */
export const FUNCTIONS = `
SELECT p.oid, n.nspname, p.proname, p.prokind, p.provolatile, p.prorettype, p.proretset,
  p.proargtypes, l.lanname, p.prosecdef, e.extname, p.provariadic <> 0, p.pronargdefaults,
  pg_catalog.array_to_string(p.proallargtypes, ' '), pg_catalog.array_to_string(p.proargmodes, ''),
  pg_catalog.array_to_json(p.proargnames),
  CASE WHEN p.oid >= ${USER} THEN pg_catalog.md5(pg_catalog.to_jsonb(p)::pg_catalog.text) END
FROM pg_catalog.pg_proc p
  JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_catalog.pg_language l ON l.oid = p.prolang
  LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    AND d.objid = p.oid AND d.deptype = 'e'
  LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
ORDER BY p.oid`;

/**
 * oid, schema, name, kind, relation, element, base, array, extension, whether input, output or a
 * range's own functions are not built in
 */
export const TYPES = `
SELECT t.oid, n.nspname, t.typname, t.typtype, t.typrelid,
  CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END, t.typbasetype, t.typarray, e.extname,
  t.typinput >= ${USER} OR t.typoutput >= ${USER}
  OR EXISTS (SELECT 1 FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid
             AND (r.rngcanonical >= ${USER} OR r.rngsubdiff >= ${USER} OR r.rngsubopc >= ${USER}))
FROM pg_catalog.pg_type t
  JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
    AND d.objid = t.oid AND d.deptype = 'e'
  LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
ORDER BY t.oid`;

/** schema, name, left type, right type, function */
export const OPERATORS = `
SELECT n.nspname, o.oprname, o.oprleft, o.oprright, o.oprcode::pg_catalog.oid
FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
WHERE o.oid >= ${USER} ORDER BY o.oid`;

/** source, target, function */
export const CASTS = `
SELECT castsource, casttarget, castfunc FROM pg_catalog.pg_cast
WHERE oid >= ${USER} AND castfunc <> 0 ORDER BY oid`;

/**
 * What runs when: kind (write, read, type), relation or type, function. Functions of their own in
 * constraints, defaults, indexes, partition keys, extended statistics, row security policies and
 * domains, also behind operators.
 */
export const CODE = `
WITH code(kind, owner, class, object) AS (
  SELECT CASE WHEN con.contypid <> 0 THEN 'type' ELSE 'write' END,
    CASE WHEN con.contypid <> 0 THEN con.contypid ELSE con.conrelid END,
    'pg_catalog.pg_constraint'::pg_catalog.regclass, con.oid
  FROM pg_catalog.pg_constraint con WHERE con.contype = 'c'
  UNION ALL
  SELECT 'write', ad.adrelid, 'pg_catalog.pg_attrdef'::pg_catalog.regclass, ad.oid
  FROM pg_catalog.pg_attrdef ad
  UNION ALL
  SELECT 'write', i.indrelid, 'pg_catalog.pg_class'::pg_catalog.regclass, i.indexrelid
  FROM pg_catalog.pg_index i WHERE i.indexrelid >= ${USER}
  UNION ALL
  SELECT 'write', pt.partrelid, 'pg_catalog.pg_class'::pg_catalog.regclass, pt.partrelid
  FROM pg_catalog.pg_partitioned_table pt
  UNION ALL
  SELECT 'write', st.stxrelid, 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass, st.oid
  FROM pg_catalog.pg_statistic_ext st
  UNION ALL
  SELECT 'read', p.polrelid, 'pg_catalog.pg_policy'::pg_catalog.regclass, p.oid
  FROM pg_catalog.pg_policy p
)
SELECT DISTINCT c.kind, c.owner,
  CASE WHEN d.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass
       THEN (SELECT o.oprcode::pg_catalog.oid FROM pg_catalog.pg_operator o WHERE o.oid = d.refobjid)
       ELSE d.refobjid END
FROM code c JOIN pg_catalog.pg_depend d ON d.classid = c.class AND d.objid = c.object
WHERE d.refobjid >= ${USER} AND d.refclassid IN ('pg_catalog.pg_proc'::pg_catalog.regclass,
  'pg_catalog.pg_operator'::pg_catalog.regclass)
ORDER BY 1, 2, 3`;

/**
 * Changes whenever a row of these catalogs is written: every change makes a new row version with
 * its own place and transaction. (VACUUM and ANALYZE update in place and do not count.) It is also
 * asked on connections of clients, whose search_path is theirs, so that all of it is qualified.
 */
export const FINGERPRINT = `pg_catalog.concat_ws(',', ${[
  ['pg_class', 'oid'],
  ['pg_attribute', 'attrelid'],
  ['pg_proc', 'oid'],
  ['pg_type', 'oid'],
  ['pg_operator', 'oid'],
  ['pg_cast', 'oid'],
  ['pg_rewrite', 'oid'],
  ['pg_constraint', 'oid'],
  ['pg_namespace'],
  ['pg_inherits'],
  ['pg_trigger'],
  ['pg_policy'],
  ['pg_attrdef'],
  ['pg_statistic_ext'],
  ['pg_extension'],
  ['pg_event_trigger'],
]
  .map(([catalog, oid]) => {
    const users =
      oid === undefined ? '' : ` WHERE x.${oid} OPERATOR(pg_catalog.>=) ${USER}::pg_catalog.oid`;
    return `(SELECT pg_catalog.concat(pg_catalog.count(*), ':', pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat(x.ctid, x.xmin))::pg_catalog.int8)) FROM pg_catalog.${catalog} x${users})`;
  })
  .join(',\n')})`;
