/**
 * The questions to the target's system catalogs, PostgreSQL 13 to 18. They are also asked on
 * connections of clients, whose search_path is theirs, so that everything in them is qualified,
 * operators too. Definitions of views come back with names qualified as the search_path of the
 * connection demands: the gateway's own has an empty one.
 */
import type { CatalogComparison } from '../../policy/facts/catalog-types.ts';

/** OIDs below belong to objects that initdb made (FirstNormalObjectId). */
export const USER = 16_384;

export const EQ = 'OPERATOR(pg_catalog.=)';
const NE = 'OPERATOR(pg_catalog.<>)';
export const GE = 'OPERATOR(pg_catalog.>=)';
const PG_CLASS = `'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid`;
const RELATION_KINDS = `ANY ('{r,p,v,m,f,c,S,t}'::pg_catalog."char"[])`;

/**
 * Triggers that users made. Before 15 those that a partition has from its parent are internal, as
 * are those of foreign keys, which alone name another relation.
 */
export const ownTriggers = (table: string): string =>
  `(NOT ${table}.tgisinternal OR (${table}.tgparentid ${NE} 0::pg_catalog.oid AND ${table}.tgconstrrelid ${EQ} 0::pg_catalog.oid))`;

/** Of the body of a trigger function, or of one in SQL, that is looked into. */
const MAX_TRIGGER_BYTES = 16 * 1024;
const MAX_SQL_BYTES = 4 * 1024;

/**
 * Code that was there before it could be read: it changes roles, or runs SQL that does not begin as a
 * literal. In C there is no text, and in other languages none that is read.
 */
const CHANGES_LOGINS = String.raw`CASE WHEN l.lanname ${EQ} ANY ('{sql,plpgsql}'::pg_catalog.name[]) THEN
  pg_catalog.regexp_replace(p.prosrc, E'--[^\\n]*|/[*].*?[*]/', ' ', 'g') OPERATOR(pg_catalog.~*) pg_catalog.concat(
    E'\\m(alter|create|drop)\\s+(role|user|group)\\M(?!\\s+mapping)|\\m(drop|reassign)\\s+owned\\M|\\malter\\s+database\\M',
    E'|\\m(grant|revoke)\\M(?![^;]*\\mon\\M)|\\mpg_(authid|auth_members|db_role_setting|group)\\M|\\mdblink',
    E'|\\mexecute\\M(?!\\s*(''|format\\s*[(]\\s*''|on\\M|function\\M|procedure\\M))')
  ELSE NOT l.lanname ${EQ} ANY ('{c,internal}'::pg_catalog.name[]) END`;

/**
 * JSON of schema and name: functions that event triggers call at every login, and those that these
 * name, down to the last. Bodies are read by their words: PostgreSQL keeps no dependencies of them.
 */
const AT_LOGIN = String.raw`(WITH RECURSIVE used AS (
    SELECT v.evtfoid::pg_catalog.oid AS oid FROM pg_catalog.pg_event_trigger v
      WHERE v.evtevent ${EQ} 'login'::pg_catalog.name AND v.evtenabled ${NE} 'D'::pg_catalog."char"
    UNION SELECT q.oid FROM used u JOIN pg_catalog.pg_proc p ON p.oid ${EQ} u.oid JOIN pg_catalog.pg_proc q
      ON q.oid ${GE} ${USER}::pg_catalog.oid AND CASE WHEN q.proname OPERATOR(pg_catalog.~) E'\\W'
        THEN pg_catalog.strpos(p.prosrc, q.proname::pg_catalog.text) OPERATOR(pg_catalog.>) 0
        ELSE pg_catalog.lower(q.proname::pg_catalog.text) ${EQ}
          ANY (pg_catalog.regexp_split_to_array(pg_catalog.lower(p.prosrc), E'\\W+')) END)
  SELECT pg_catalog.json_agg(pg_catalog.json_build_array(n.nspname, p.proname) ORDER BY p.oid)
    FROM used u JOIN pg_catalog.pg_proc p ON p.oid ${EQ} u.oid
      JOIN pg_catalog.pg_namespace n ON n.oid ${EQ} p.pronamespace)`;

export interface SectionQuery {
  /** Expressions; the first one is the object that the row belongs to. */
  readonly columns: readonly string[];
  readonly from: string;
  readonly where?: string;
  /** Expressions that keep rows of one object in order. */
  readonly order?: readonly string[];
  /** Index of the column with a piece of SQL, or null. */
  readonly sqlText?: number;
}

/** Rows that belong to one object each: a relation, a type, a function. */
export const OWNED = {
  /** oid, schema, name, kind, row type, row security, view definition */
  relations: {
    columns: [
      'c.oid',
      'n.nspname',
      'c.relname',
      'c.relkind',
      'c.reltype',
      'c.relrowsecurity',
      `CASE WHEN c.relkind ${EQ} ANY ('{v,m}'::pg_catalog."char"[]) AND c.oid ${GE} ${USER}::pg_catalog.oid
       THEN pg_catalog.pg_get_viewdef(c.oid) END`,
      'c.relhassubclass',
    ],
    from: `pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid ${EQ} c.relnamespace`,
    where: `c.relkind ${EQ} ${RELATION_KINDS}`,
    sqlText: 6,
  },
  /** relation, attnum, name, type, dropped, generation expression, not null, loose collation */
  columns: {
    columns: [
      'a.attrelid',
      'a.attnum',
      'a.attname',
      'a.atttypid',
      'a.attisdropped',
      // Few are: a join would read all defaults.
      `CASE WHEN a.attgenerated ${NE} ''::pg_catalog."char" THEN (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid)
        FROM pg_catalog.pg_attrdef d WHERE d.adrelid ${EQ} a.attrelid AND d.adnum ${EQ} a.attnum) END`,
      // Since PostgreSQL 18 rows that were there before may have NULL.
      `a.attnotnull AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint k WHERE k.conrelid ${EQ} a.attrelid
        AND k.contype ${EQ} 'n'::pg_catalog."char" AND NOT k.convalidated AND a.attnum ${EQ} ANY (k.conkey))`,
      `CASE WHEN a.attcollation ${GE} ${USER}::pg_catalog.oid THEN (SELECT NOT l.collisdeterministic
        FROM pg_catalog.pg_collation l WHERE l.oid ${EQ} a.attcollation) ELSE false END`,
    ],
    from: 'pg_catalog.pg_attribute a',
    where: `a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2
      AND (SELECT c.relkind FROM pg_catalog.pg_class c WHERE c.oid ${EQ} a.attrelid) ${EQ} ${RELATION_KINDS}`,
    order: ['a.attnum'],
    sqlText: 5,
  },
  /** child, parent */
  inherits: {
    columns: ['i.inhrelid', 'i.inhparent'],
    from: `pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid ${EQ} i.inhrelid`,
    where: `c.relkind ${EQ} ANY ('{r,p,f}'::pg_catalog."char"[])`,
    order: ['i.inhparent'],
  },
  /**
   * relation, bits of pg_trigger.tgtype (src/include/catalog/pg_trigger.h), digest, deferrable,
   * function, and of one that runs before each row its definition where it has a WHEN or arguments;
   * only users' triggers
   */
  triggers: {
    columns: [
      't.tgrelid',
      't.tgtype',
      'pg_catalog.md5(pg_catalog.to_jsonb(t)::pg_catalog.text)',
      't.tgdeferrable',
      't.tgfoid',
      `CASE WHEN t.tgtype::pg_catalog.int4 OPERATOR(pg_catalog.&) 3 ${EQ} 3 AND (t.tgqual IS NOT NULL OR t.tgnargs OPERATOR(pg_catalog.>) 0::pg_catalog.int2)
       THEN pg_catalog.pg_get_triggerdef(t.oid) END`,
    ],
    from: 'pg_catalog.pg_trigger t',
    where: ownTriggers('t'),
    order: ['t.oid'],
    sqlText: 5,
  },
  /**
   * relation, event: 2 UPDATE, 3 INSERT, 4 DELETE, digest, name, definition; but for the rule that
   * makes a view a view
   */
  rules: {
    columns: [
      'r.ev_class',
      'r.ev_type',
      'pg_catalog.md5(pg_catalog.to_jsonb(r)::pg_catalog.text)',
      'r.rulename',
      'pg_catalog.pg_get_ruledef(r.oid)',
    ],
    from: 'pg_catalog.pg_rewrite r',
    where: `r.rulename ${NE} '_RETURN'::pg_catalog.name AND r.oid ${GE} ${USER}::pg_catalog.oid`,
    order: ['r.oid'],
    sqlText: 4,
  },
  /** relation, attribute numbers */
  primaryKeys: {
    columns: ['k.conrelid', `pg_catalog.array_to_string(k.conkey, ' ')`],
    from: 'pg_catalog.pg_constraint k',
    // One that is deferrable does not hold within a transaction.
    where: `k.contype ${EQ} 'p'::pg_catalog."char" AND NOT k.condeferrable`,
  },
  /** referencing table, referenced table, action on DELETE, action on UPDATE, columns of both, name */
  foreignKeys: {
    columns: [
      'k.conrelid',
      'k.confrelid',
      'k.confdeltype',
      'k.confupdtype',
      `pg_catalog.array_to_string(k.conkey, ' ')`,
      `pg_catalog.array_to_string(k.confkey, ' ')`,
      'k.conname',
    ],
    from: 'pg_catalog.pg_constraint k',
    where: `k.contype ${EQ} 'f'::pg_catalog."char"`,
    order: ['k.oid'],
  },
  /** sequence, table that it belongs to, attnum there */
  sequences: {
    columns: ['s.seqrelid', 'd.refobjid', 'd.refobjsubid'],
    from: `pg_catalog.pg_sequence s JOIN pg_catalog.pg_depend d
      ON d.classid ${EQ} ${PG_CLASS} AND d.objid ${EQ} s.seqrelid AND d.refclassid ${EQ} ${PG_CLASS}
        AND d.deptype ${EQ} ANY ('{a,i}'::pg_catalog."char"[])`,
    where: 'd.refobjsubid OPERATOR(pg_catalog.>) 0',
  },
  /** table, sequence that a default of it draws from, attnum */
  drawing: {
    columns: ['x.adrelid', 'd.refobjid', 'x.adnum'],
    from: `pg_catalog.pg_attrdef x JOIN pg_catalog.pg_depend d
      ON d.classid ${EQ} 'pg_catalog.pg_attrdef'::pg_catalog.regclass::pg_catalog.oid AND d.objid ${EQ} x.oid
        AND d.refclassid ${EQ} ${PG_CLASS} AND d.refobjsubid ${EQ} 0
      JOIN pg_catalog.pg_sequence s ON s.seqrelid ${EQ} d.refobjid`,
    order: ['x.adnum', 'd.refobjid'],
  },
  /**
   * oid, schema, name, kind, volatility, result, returns set, argument types, language, security
   * definer, extension, variadic, defaults, all argument types, their modes, their names, of what is
   * not built in a digest of everything, its body above all, of trigger functions body, library and
   * settings, of functions in SQL also their definition if the body is kept as a tree, and defaults,
   * whether it may change logins, and whether a superuser owns what an extension brought
   */
  functions: {
    columns: [
      'p.oid',
      'n.nspname',
      'p.proname',
      'p.prokind',
      'p.provolatile',
      'p.prorettype',
      'p.proretset',
      'p.proargtypes',
      'l.lanname',
      'p.prosecdef',
      'e.extname',
      `p.provariadic ${NE} 0::pg_catalog.oid`,
      'p.pronargdefaults',
      `pg_catalog.array_to_string(p.proallargtypes, ' ')`,
      `pg_catalog.array_to_string(p.proargmodes, '')`,
      'pg_catalog.array_to_json(p.proargnames)',
      `CASE WHEN p.oid ${GE} ${USER}::pg_catalog.oid THEN pg_catalog.md5(pg_catalog.to_jsonb(p)::pg_catalog.text) END`,
      `CASE WHEN p.prorettype ${EQ} 'pg_catalog.trigger'::pg_catalog.regtype::pg_catalog.oid AND p.oid ${GE} ${USER}::pg_catalog.oid
        AND pg_catalog.octet_length(p.prosrc) OPERATOR(pg_catalog.<=) ${MAX_TRIGGER_BYTES}
       THEN pg_catalog.json_build_array(p.prosrc, p.probin, p.proconfig)
       WHEN l.lanname ${EQ} 'sql'::pg_catalog.name AND p.oid ${GE} ${USER}::pg_catalog.oid AND p.prokind ${EQ} 'f'::pg_catalog."char"
        AND NOT p.proretset AND NOT p.prosecdef AND p.proargmodes IS NULL
        AND pg_catalog.octet_length(p.prosrc) OPERATOR(pg_catalog.<=) ${MAX_SQL_BYTES}
       THEN pg_catalog.json_build_array(p.prosrc, p.probin, p.proconfig,
        CASE WHEN p.prosrc ${EQ} ''::pg_catalog.text THEN pg_catalog.pg_get_functiondef(p.oid) END,
        pg_catalog.pg_get_expr(p.proargdefaults, 0::pg_catalog.oid)) END`,
      `CASE WHEN p.oid ${GE} ${USER}::pg_catalog.oid THEN ${CHANGES_LOGINS} END`,
      `CASE WHEN e.oid IS NOT NULL THEN (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.oid ${EQ} p.proowner) END`,
    ],
    sqlText: 17,
    from: `pg_catalog.pg_proc p
      JOIN pg_catalog.pg_namespace n ON n.oid ${EQ} p.pronamespace
      JOIN pg_catalog.pg_language l ON l.oid ${EQ} p.prolang
      LEFT JOIN pg_catalog.pg_depend d ON d.classid ${EQ} 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid
        AND d.objid ${EQ} p.oid AND d.deptype ${EQ} 'e'::pg_catalog."char"
      LEFT JOIN pg_catalog.pg_extension e ON e.oid ${EQ} d.refobjid`,
  },
  /**
   * oid, schema, name, kind, relation, element, base, array, extension, whether input, output or a
   * range's own functions are not built in, category, whether it is preferred, subtype of a range,
   * range of a multirange
   */
  types: {
    columns: [
      't.oid',
      'n.nspname',
      't.typname',
      't.typtype',
      't.typrelid',
      `CASE WHEN t.typcategory ${EQ} 'A'::pg_catalog."char" THEN t.typelem ELSE 0::pg_catalog.oid END`,
      't.typbasetype',
      't.typarray',
      'e.extname',
      `t.typinput::pg_catalog.oid ${GE} ${USER}::pg_catalog.oid OR t.typoutput::pg_catalog.oid ${GE} ${USER}::pg_catalog.oid
      OR EXISTS (SELECT 1 FROM pg_catalog.pg_range r WHERE r.rngtypid ${EQ} t.oid
        AND (r.rngcanonical::pg_catalog.oid ${GE} ${USER}::pg_catalog.oid
          OR r.rngsubdiff::pg_catalog.oid ${GE} ${USER}::pg_catalog.oid OR r.rngsubopc ${GE} ${USER}::pg_catalog.oid))`,
      't.typcategory',
      't.typispreferred',
      // Before 14 there is no column rngmultitypid, and no type of that kind.
      `CASE t.typtype
        WHEN 'r'::pg_catalog."char" THEN (SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid ${EQ} t.oid)
        WHEN 'm'::pg_catalog."char" THEN (SELECT r.rngtypid FROM pg_catalog.pg_range r
          WHERE pg_catalog.to_jsonb(r) OPERATOR(pg_catalog.->>) 'rngmultitypid' ${EQ} t.oid::pg_catalog.text) END`,
    ],
    from: `pg_catalog.pg_type t
      JOIN pg_catalog.pg_namespace n ON n.oid ${EQ} t.typnamespace
      LEFT JOIN pg_catalog.pg_depend d ON d.classid ${EQ} 'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid
        AND d.objid ${EQ} t.oid AND d.deptype ${EQ} 'e'::pg_catalog."char"
      LEFT JOIN pg_catalog.pg_extension e ON e.oid ${EQ} d.refobjid`,
  },
} as const satisfies Record<string, SectionQuery>;

/** Lists that are read as a whole; they are short. */
export const WHOLE = {
  server: {
    columns: [
      `pg_catalog.current_setting('server_version_num')`,
      'pg_catalog.current_database()',
      `EXISTS (SELECT 1 FROM pg_catalog.pg_event_trigger v WHERE v.evtenabled ${NE} 'D'::pg_catalog."char")`,
      AT_LOGIN,
    ],
    from: 'pg_catalog.pg_database b',
    where: `b.datname ${EQ} pg_catalog.current_database()`,
  },
  /** oid, name; what says which roles may use it: a search_path leaves out schemas that they may not */
  schemas: {
    columns: [
      's.oid',
      's.nspname',
      's.nspowner',
      "pg_catalog.array_to_string(s.nspacl, ' ')",
      `(SELECT pg_catalog.md5(pg_catalog.string_agg(m.digest, '' ORDER BY m.digest COLLATE pg_catalog."C"))
        FROM (SELECT pg_catalog.md5(pg_catalog.to_jsonb(a)::pg_catalog.text) AS digest
          FROM pg_catalog.pg_auth_members a) m)`,
    ],
    from: 'pg_catalog.pg_namespace s',
    order: ['s.oid'],
  },
  /**
   * role, member, whether the member can only grant the role; before 16 none is so. The first row
   * is the role that asks, and no membership.
   */
  roles: {
    columns: ['x.role', 'x.member', 'x.admin_only'],
    from: `(SELECT session_user AS role, NULL AS member, false AS admin_only, 0::pg_catalog.oid AS first, 0::pg_catalog.oid AS second
      UNION ALL SELECT r.rolname, u.rolname,
        pg_catalog.to_jsonb(m) OPERATOR(pg_catalog.@>) '{"inherit_option": false, "set_option": false}'::pg_catalog.jsonb, m.roleid, m.member
      FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles r ON r.oid ${EQ} m.roleid
        JOIN pg_catalog.pg_roles u ON u.oid ${EQ} m.member) x`,
    order: ['x.first', 'x.second'],
  },
  /** schema, name, left type, right type, function, result, oid */
  operators: {
    columns: [
      'n.nspname',
      'o.oprname',
      'o.oprleft',
      'o.oprright',
      'o.oprcode::pg_catalog.oid',
      'o.oprresult',
      'o.oid',
    ],
    from: `pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid ${EQ} o.oprnamespace`,
    order: ['o.oid'],
  },
  /** source, target, function, context */
  casts: {
    columns: ['c.castsource', 'c.casttarget', 'c.castfunc', 'c.castcontext'],
    from: 'pg_catalog.pg_cast c',
    order: ['c.oid'],
  },
} as const satisfies Record<string, SectionQuery>;

/**
 * What runs when: relation or type, kind (write, index, default, read, type), function, column. Functions of their own in
 * constraints, defaults, indexes, partition keys, extended statistics, row security policies and
 * domains, also behind operators.
 */
export const CODE: readonly {
  readonly kind: string;
  readonly owner: string;
  readonly catalog: string;
  readonly object: string;
  /** attnum of the column that it is about. */
  readonly column?: string;
  readonly where?: string;
}[] = [
  {
    kind: 'write',
    owner: 'x.conrelid',
    catalog: 'pg_constraint',
    object: 'x.oid',
    where: `x.contype ${EQ} 'c'::pg_catalog."char" AND x.contypid ${EQ} 0::pg_catalog.oid`,
  },
  {
    kind: 'type',
    owner: 'x.contypid',
    catalog: 'pg_constraint',
    object: 'x.oid',
    where: `x.contype ${EQ} 'c'::pg_catalog."char" AND x.contypid ${NE} 0::pg_catalog.oid`,
  },
  {
    kind: 'default',
    owner: 'x.adrelid',
    catalog: 'pg_attrdef',
    object: 'x.oid',
    column: 'x.adnum',
  },
  {
    kind: 'index',
    owner: 'x.indrelid',
    catalog: 'pg_index',
    object: 'x.indexrelid',
    where: `x.indexrelid ${GE} ${USER}::pg_catalog.oid`,
  },
  { kind: 'index', owner: 'x.partrelid', catalog: 'pg_partitioned_table', object: 'x.partrelid' },
  { kind: 'index', owner: 'x.stxrelid', catalog: 'pg_statistic_ext', object: 'x.oid' },
  { kind: 'read', owner: 'x.polrelid', catalog: 'pg_policy', object: 'x.oid' },
];
/** Objects whose dependencies are kept under another catalog's name. */
export const CLASS_OF: ReadonlyMap<string, string> = new Map([
  ['pg_index', 'pg_class'],
  ['pg_partitioned_table', 'pg_class'],
]);

/**
 * Columns that the server compares when a row is written: table, kind, name, attnums (0: the row).
 * Of expressions pg_depend knows the columns.
 */
export const COMPARISONS: readonly {
  readonly kind: CatalogComparison['kind'];
  readonly owner: string;
  readonly name: string;
  readonly from: string;
  readonly columns: string;
  /** SQL of what is computed, where that may fail or not. */
  readonly expression?: string;
  readonly where: string;
}[] = [
  {
    kind: 'check',
    owner: 'x.conrelid',
    name: 'x.conname',
    from: 'pg_catalog.pg_constraint x',
    columns: `pg_catalog.array_to_string(x.conkey, ' ')`,
    where: `x.contype ${EQ} 'c'::pg_catalog."char" AND x.conrelid ${GE} ${USER}::pg_catalog.oid`,
  },
  {
    // Exclusion constraints, too.
    kind: 'unique',
    owner: 'x.indrelid',
    // Words: the planner takes it for a key; it compares as columns are grouped; NULL is equal to NULL.
    name: `pg_catalog.concat_ws(' ',
      CASE WHEN x.indisunique AND x.indimmediate AND x.indisvalid AND x.indexprs IS NULL AND x.indpred IS NULL THEN 'planner' END,
      CASE WHEN NOT EXISTS (SELECT 1 FROM pg_catalog.generate_series(0, x.indnkeyatts OPERATOR(pg_catalog.-) 1) AS g (n)
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid ${EQ} x.indrelid AND a.attnum ${EQ} x.indkey[g.n]
        LEFT JOIN pg_catalog.pg_opclass o ON o.oid ${EQ} x.indclass[g.n]
        WHERE (a.attcollation ${EQ} x.indcollation[g.n] AND o.opcdefault) IS NOT TRUE) THEN 'alike' END,
      CASE WHEN pg_catalog.to_jsonb(x) OPERATOR(pg_catalog.->>) 'indnullsnotdistinct' ${EQ} 'true' THEN 'nulls' END)::pg_catalog.name`,
    from: 'pg_catalog.pg_index x',
    columns: `pg_catalog.concat_ws(' ', pg_catalog.array_to_string((x.indkey::pg_catalog.int2[])[0:x.indnkeyatts OPERATOR(pg_catalog.-) 1], ' '),
      CASE WHEN x.indexprs IS NOT NULL OR x.indpred IS NOT NULL THEN ${usedBy('pg_class', 'x.indexrelid', 'x.indrelid')} END)`,
    where: `(x.indisunique OR x.indisexclusion) AND x.indexrelid ${GE} ${USER}::pg_catalog.oid`,
  },
  {
    kind: 'index',
    owner: 'x.indrelid',
    name: `(SELECT c.relname FROM pg_catalog.pg_class c WHERE c.oid ${EQ} x.indexrelid)`,
    from: 'pg_catalog.pg_index x',
    columns: usedBy('pg_class', 'x.indexrelid', 'x.indrelid'),
    expression: `pg_catalog.concat('ROW(', pg_catalog.concat_ws(', ', pg_catalog.pg_get_expr(x.indexprs, x.indrelid),
      pg_catalog.pg_get_expr(x.indpred, x.indrelid)), ')')`,
    where: `NOT (x.indisunique OR x.indisexclusion) AND (x.indexprs IS NOT NULL OR x.indpred IS NOT NULL)
      AND x.indexrelid ${GE} ${USER}::pg_catalog.oid`,
  },
  {
    kind: 'partition',
    owner: 'x.partrelid',
    name: "''::pg_catalog.name",
    from: 'pg_catalog.pg_partitioned_table x',
    columns: `pg_catalog.concat_ws(' ', pg_catalog.array_to_string(x.partattrs::pg_catalog.int2[], ' '),
      CASE WHEN x.partexprs IS NOT NULL THEN ${usedBy('pg_class', 'x.partrelid', 'x.partrelid')} END)`,
    where: 'true',
  },
  {
    kind: 'policy',
    owner: 'x.polrelid',
    name: 'x.polname',
    from: 'pg_catalog.pg_policy x',
    // -1: other tables.
    columns: `pg_catalog.concat_ws(' ', ${usedBy('pg_policy', 'x.oid', 'x.polrelid')},
      CASE WHEN pg_catalog.strpos(pg_catalog.concat(x.polqual, x.polwithcheck), '{SUBLINK') OPERATOR(pg_catalog.>) 0 THEN '-1' END)`,
    where: 'true',
  },
];

/** Index of `expression` in a row. */
export const COMPARISON_SQL_TEXT = 4;

function usedBy(catalog: string, object: string, relation: string): string {
  return `(SELECT pg_catalog.string_agg(DISTINCT d.refobjsubid::pg_catalog.text, ' ') FROM pg_catalog.pg_depend d
      WHERE d.classid ${EQ} 'pg_catalog.${catalog}'::pg_catalog.regclass::pg_catalog.oid AND d.objid ${EQ} ${object}
        AND d.refclassid ${EQ} ${PG_CLASS} AND d.refobjid ${EQ} ${relation} AND d.refobjsubid OPERATOR(pg_catalog.>) 0)`;
}

export type OwnedSection = keyof typeof OWNED | 'code' | 'comparisons';
export type WholeSection = keyof typeof WHOLE;
export type Section = OwnedSection | WholeSection;

export const OWNED_SECTIONS: readonly OwnedSection[] = [
  'relations',
  'columns',
  'inherits',
  'triggers',
  'rules',
  'primaryKeys',
  'foreignKeys',
  'sequences',
  'drawing',
  'functions',
  'types',
  'code',
  'comparisons',
];
export const WHOLE_SECTIONS: readonly WholeSection[] = [
  'server',
  'schemas',
  'roles',
  'operators',
  'casts',
];
