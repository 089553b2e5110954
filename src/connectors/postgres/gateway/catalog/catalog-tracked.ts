/** The system catalogs that are looked at for changes, and what each of their rows is about. */
import { type OwnedSection, ownTriggers, USER, type WholeSection } from './catalog-queries.ts';

export interface Tracked {
  readonly name: string;
  /** Tells its rows apart. */
  readonly key: string;
  /** The object that a row belongs to. */
  readonly owner: string;
  readonly where?: string;
  /** What must be read again of the owner. */
  readonly owned?: readonly OwnedSection[];
  /** Its rows come and go with whole relations. */
  readonly withRelations?: true;
  /** What must be read again as a whole. */
  readonly whole?: readonly WholeSection[];
}

/** Whose rows come and go with the object that they belong to, and never alone: DROP COLUMN keeps the row. */
export const COLUMNS = 'pg_attribute';

const users = (column: string): string =>
  `x.${column} OPERATOR(pg_catalog.>=) ${USER}::pg_catalog.oid`;

/** A catalog without `owned` and `whole` makes everything be read again. */
export const TRACKED: readonly Tracked[] = [
  {
    name: 'pg_class',
    key: 'x.oid',
    owner: 'x.oid',
    where: users('oid'),
    owned: ['relations', 'columns', 'inherits'],
    withRelations: true,
  },
  {
    name: COLUMNS,
    key: 'x.attnum',
    owner: 'x.attrelid',
    where: `${users('attrelid')} AND x.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2`,
    // The WHEN of a trigger names columns.
    owned: ['columns', 'triggers'],
  },
  {
    name: 'pg_type',
    key: 'x.oid',
    owner: 'x.oid',
    where: users('oid'),
    owned: ['types'],
    withRelations: true,
  },
  {
    name: 'pg_proc',
    key: 'x.oid',
    owner: 'x.oid',
    where: users('oid'),
    owned: ['functions'],
    // Which functions run at every login depends on their bodies.
    whole: ['server'],
  },
  {
    name: 'pg_attrdef',
    key: 'x.oid',
    owner: 'x.adrelid',
    owned: ['columns', 'code', 'drawing'],
    withRelations: true,
  },
  {
    name: 'pg_constraint',
    key: 'x.oid',
    // Of a domain when it is of no table.
    owner:
      'CASE WHEN x.conrelid OPERATOR(pg_catalog.=) 0::pg_catalog.oid THEN x.contypid ELSE x.conrelid END',
    where: users('oid'),
    owned: ['primaryKeys', 'foreignKeys', 'code', 'comparisons'],
    withRelations: true,
  },
  {
    name: 'pg_index',
    key: 'x.indexrelid',
    owner: 'x.indrelid',
    where: users('indexrelid'),
    owned: ['code', 'comparisons'],
    withRelations: true,
  },
  {
    name: 'pg_rewrite',
    key: 'x.oid',
    owner: 'x.ev_class',
    where: users('oid'),
    owned: ['relations', 'rules'],
    withRelations: true,
  },
  {
    name: 'pg_trigger',
    key: 'x.oid',
    owner: 'x.tgrelid',
    where: ownTriggers('x'),
    owned: ['triggers'],
    withRelations: true,
  },
  {
    // ALTER SEQUENCE … OWNED BY writes it again.
    name: 'pg_sequence',
    key: 'x.seqrelid',
    owner: 'x.seqrelid',
    owned: ['sequences'],
    withRelations: true,
  },
  { name: 'pg_policy', key: 'x.oid', owner: 'x.polrelid', owned: ['code', 'comparisons'] },
  {
    name: 'pg_statistic_ext',
    key: 'x.oid',
    owner: 'x.stxrelid',
    owned: ['code'],
    withRelations: true,
  },
  {
    name: 'pg_partitioned_table',
    key: 'x.partrelid',
    owner: 'x.partrelid',
    owned: ['code', 'comparisons'],
    withRelations: true,
  },
  {
    // Nothing of it is kept, but a condition in it can tell a value of a masked column.
    name: 'pg_publication_rel',
    key: 'x.oid',
    owner: 'x.prrelid',
    owned: ['primaryKeys'],
  },
  {
    name: 'pg_inherits',
    key: "pg_catalog.concat(x.inhrelid, '<', x.inhparent)",
    owner: 'x.inhrelid',
    owned: ['inherits'],
    withRelations: true,
  },
  { name: 'pg_operator', key: 'x.oid', owner: 'x.oid', where: users('oid'), whole: ['operators'] },
  { name: 'pg_cast', key: 'x.oid', owner: 'x.oid', where: users('oid'), whole: ['casts'] },
  { name: 'pg_namespace', key: 'x.oid', owner: 'x.oid', whole: ['schemas', 'server'] },
  {
    // Whose member a role is says which schemas of its search_path it may use. No oid before 16.
    name: 'pg_auth_members',
    key: "pg_catalog.concat(x.roleid, '<', x.member, '<', x.grantor)",
    owner: 'x.roleid',
    whole: ['schemas', 'roles'],
  },
  { name: 'pg_event_trigger', key: 'x.oid', owner: 'x.oid', whole: ['server'] },
  { name: 'pg_extension', key: 'x.oid', owner: 'x.oid' },
  { name: 'pg_language', key: 'x.oid', owner: 'x.oid' },
];
