/**
 * Statements after which the target could be reached without hoop, or hoop could not reach it: they
 * change a role that hoop logs in with, one that it is a member of or has as a member, or let some
 * role log in. A role that may be one of these counts as one.
 */
import { OWN_LOGIN } from '../../../../policy/verbs.ts';
import type { RelationFact } from '../facts/analysis-types.ts';
import { settingEffect } from '../facts/settings-table.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { as, type FieldsOf, is, type Node, namesOf, stringOf } from '../parse/tree.ts';

type RoleSpec = FieldsOf<'RoleSpec'>;

/** Catalogs that hold who may log in: role, password, memberships, settings, databases. */
const LOGIN_CATALOGS: ReadonlySet<string> = new Set([
  'pg_auth_members',
  'pg_authid',
  'pg_database',
  'pg_db_role_setting',
]);

const AT_LOGIN = 'its function runs at every login';

/** Definitions that have functions called where no statement names these. */
const NAMING: ReadonlySet<string> = new Set([
  'CreateCastStmt',
  'CreateOpClassStmt',
  'CreateRangeStmt',
  'DefineStmt',
]);

/** Their fields name the object, a function or a schema among others. */
const FUNCTION_STATEMENTS: ReadonlySet<string> = new Set([
  'AlterFunctionStmt',
  'AlterObjectDependsStmt',
  'AlterObjectSchemaStmt',
  'AlterOwnerStmt',
  'CreateFunctionStmt',
  'DropStmt',
  'RenameStmt',
]);
const FUNCTION_KINDS: ReadonlySet<string> = new Set([
  'OBJECT_FUNCTION',
  'OBJECT_PROCEDURE',
  'OBJECT_ROUTINE',
]);

/** Notes why a definition changes logins, where it does. */
export function noteLoginChange(facts: StatementFacts, node: Node): void {
  const reason = reasonOf(new Logins(facts), node);
  if (reason !== undefined) noteLogin(facts, reason);
}

/** @param reason a phrase, for the refusal */
export function noteLogin(facts: StatementFacts, reason: string): void {
  facts.verb(OWN_LOGIN);
  facts.loginChange ??= reason;
}

/** Notes rows of the catalogs themselves that a superuser writes, through whatever view or rule. */
export function noteLoginRows(facts: StatementFacts): void {
  const written = [...facts.writes.values(), ...facts.writesIndirectly.values()];
  const found = written.find((fact) => fact.schema === 'pg_catalog' && holdsLogins(facts, fact));
  if (found !== undefined) noteLogin(facts, `it writes to ${found.name}`);
}

/** Whether rows of this catalog, or of a view that writes to one, say who may log in. */
export function isLoginCatalog(name: string): boolean {
  return LOGIN_CATALOGS.has(name) || name === 'pg_group';
}

/** The definitions of system views are not read. The rule of pg_settings runs set_config(). */
function holdsLogins({ context }: StatementFacts, { oid, name }: RelationFact): boolean {
  const isView = context.catalog.relationByOid(oid)?.kind === 'v';
  return isView ? name !== 'pg_settings' : LOGIN_CATALOGS.has(name);
}

function reasonOf(logins: Logins, node: Node): string | undefined {
  if (is(node, 'CreateRoleStmt')) return created(logins, node.CreateRoleStmt);
  if (is(node, 'AlterRoleStmt')) return altered(logins, node.AlterRoleStmt);
  if (is(node, 'AlterRoleSetStmt')) {
    const { role } = node.AlterRoleSetStmt;
    return role === undefined ? 'it is about every role' : logins.ofHoop([role]);
  }
  if (is(node, 'DropRoleStmt')) return logins.ofHoop(rolesIn(node.DropRoleStmt.roles));
  if (is(node, 'DropOwnedStmt')) {
    return (
      logins.ofHoop(rolesIn(node.DropOwnedStmt.roles)) ?? functionAtLogin(logins.facts, [undefined])
    );
  }
  if (is(node, 'ReassignOwnedStmt')) return logins.ofHoop(rolesIn(node.ReassignOwnedStmt.roles));
  if (is(node, 'GrantRoleStmt')) return granted(logins, node.GrantRoleStmt);
  if (is(node, 'GrantStmt')) {
    return revoked(logins, node.GrantStmt) ?? callsTaken(logins, node.GrantStmt);
  }
  if (is(node, 'RenameStmt')) {
    const { renameType, subname } = node.RenameStmt;
    if (renameType === 'OBJECT_ROLE') return logins.named([subname ?? '']);
    if (renameType === 'OBJECT_DATABASE') return logins.database(subname);
  }
  if (is(node, 'AlterDatabaseStmt')) return databaseAltered(logins, node.AlterDatabaseStmt);
  if (is(node, 'AlterDatabaseSetStmt')) {
    const { dbname, setstmt } = node.AlterDatabaseSetStmt;
    return locksOut(setstmt?.name ?? '') ? logins.database(dbname) : undefined;
  }
  if (is(node, 'DropdbStmt')) return logins.database(node.DropdbStmt.dbname);
  if (is(node, 'AlterOwnerStmt')) {
    const { objectType, object } = node.AlterOwnerStmt;
    if (objectType === 'OBJECT_DATABASE') return logins.database(stringOf(object));
  }
  // The event is not known from here: it may be a login.
  if (is(node, 'AlterEventTrigStmt')) {
    return node.AlterEventTrigStmt.tgenabled === 'D' ? undefined : AT_LOGIN;
  }
  if (NAMING.has(Object.keys(node)[0] ?? '')) return logins.calling(node);
  const isAtLogin =
    is(node, 'CreateEventTrigStmt') && node.CreateEventTrigStmt.eventname === 'login';
  return isAtLogin ? AT_LOGIN : functionChanged(logins, node);
}

/**
 * The function that an event trigger has called at every login, if one of these is it. Its name is
 * enough: which function of that name is called depends on the search_path.
 * @param names undefined: one that is not known
 */
export function functionAtLogin(
  { context }: StatementFacts,
  names: readonly (string | undefined)[],
): string | undefined {
  const found = context.catalog.loginFunctions?.find(
    ({ name }) => names.includes(name) || names.includes(undefined),
  );
  return found && `${found.name}() runs at every login`;
}

/** The same of a schema that holds one. */
export function schemaAtLogin(
  { context }: StatementFacts,
  names: readonly (string | undefined)[],
): string | undefined {
  const found = context.catalog.loginFunctions?.find(
    ({ schema }) => names.includes(schema) || names.includes(undefined),
  );
  return found && `${found.name}() of schema "${found.schema}" runs at every login`;
}

/** Definitions after which a function does something else, or is not found. */
function functionChanged({ facts }: Logins, node: Node): string | undefined {
  const [tag = '', fields] = Object.entries(node)[0] ?? [];
  if (!FUNCTION_STATEMENTS.has(tag)) return undefined;
  const { objectType, removeType, renameType } = fields as Readonly<Record<string, unknown>>;
  const kind = objectType ?? removeType ?? renameType ?? 'OBJECT_FUNCTION';
  const lists = namesInside(node);
  if (kind === 'OBJECT_SCHEMA') {
    return schemaAtLogin(facts, is(node, 'RenameStmt') ? [node.RenameStmt.subname] : lists.flat());
  }
  return FUNCTION_KINDS.has(String(kind))
    ? functionAtLogin(
        facts,
        lists.map((names) => names.at(-1) ?? ''),
      )
    : undefined;
}

function callsTaken({ facts }: Logins, fields: FieldsOf<'GrantStmt'>): string | undefined {
  if (fields.is_grant === true) return undefined;
  const lists = namesInside(fields.objects);
  const isSchema =
    fields.objtype === 'OBJECT_SCHEMA' || fields.targtype === 'ACL_TARGET_ALL_IN_SCHEMA';
  if (isSchema) return schemaAtLogin(facts, lists.flat());
  return FUNCTION_KINDS.has(fields.objtype ?? '')
    ? functionAtLogin(
        facts,
        lists.map((names) => names.at(-1) ?? ''),
      )
    : undefined;
}

function created(logins: Logins, fields: FieldsOf<'CreateRoleStmt'>): string | undefined {
  const options = optionsOf(fields.options);
  const power = powerIn(options);
  if (power !== undefined) return power;
  const canLogin = options.get('canlogin');
  const logsIn = canLogin === undefined ? fields.stmt_type === 'ROLESTMT_USER' : isOn(canLogin.arg);
  if (logsIn || options.has('password')) return letsIn(fields.role ?? '');
  // The new role and its members are members of these.
  return logins.holding(rolesIn(listOf(options.get('addroleto'))));
}

function altered(logins: Logins, fields: FieldsOf<'AlterRoleStmt'>): string | undefined {
  const options = optionsOf(fields.options);
  const members = options.get('rolemembers');
  // ALTER GROUP … ADD USER, DROP USER.
  if (members !== undefined) {
    return fields.action === -1
      ? logins.ofHoop(rolesIn(listOf(members)))
      : logins.holding(fields.role === undefined ? [] : [fields.role]);
  }
  const role = fields.role ?? {};
  const power = powerIn(options);
  const isLetIn = options.get('password')?.arg !== undefined || isOn(options.get('canlogin')?.arg);
  return logins.ofHoop([role]) ?? power ?? (isLetIn ? letsIn(role.rolename ?? '') : undefined);
}

function granted(logins: Logins, fields: FieldsOf<'GrantRoleStmt'>): string | undefined {
  if (fields.is_grant !== true) return logins.ofHoop(rolesIn(fields.grantee_roles));
  const roles = (fields.granted_roles ?? []).map(
    (role): RoleSpec => ({
      roletype: 'ROLESPEC_CSTRING',
      rolename: as(role, 'AccessPriv')?.priv_name ?? '',
    }),
  );
  return logins.holding(roles);
}

/** CONNECT on the database, and what hoop reads to know what a statement means. */
function revoked(logins: Logins, fields: FieldsOf<'GrantStmt'>): string | undefined {
  if (fields.is_grant === true || !logins.concerns(rolesIn(fields.grantees))) return undefined;
  const rights = (fields.privileges ?? []).map((one) => as(one, 'AccessPriv')?.priv_name);
  const names = (fields.objects ?? []).map((one) => stringOf(one));
  if (fields.objtype === 'OBJECT_DATABASE') {
    const isConnect = rights.length === 0 || rights.includes('connect');
    return isConnect ? names.map((name) => logins.database(name)).find(Boolean) : undefined;
  }
  const functions = (fields.objects ?? []).flatMap(
    (one) => namesOf(as(one, 'ObjectWithArgs')?.objname)?.slice(0, -1) ?? [],
  );
  const isSystem = [...names, ...functions].includes('pg_catalog');
  return isSystem ? 'it takes the system catalogs from hoop' : undefined;
}

function databaseAltered(
  logins: Logins,
  fields: FieldsOf<'AlterDatabaseStmt'>,
): string | undefined {
  const options = optionsOf(fields.options);
  const closes = options.has('allow_connections') || options.has('connection_limit');
  return closes ? logins.database(fields.dbname) : undefined;
}

/** Settings of a new session with which it may not begin, or ends before it is of use. */
function locksOut(name: string): boolean {
  const effect = settingEffect(name);
  return name.toLowerCase().endsWith('_timeout') || (effect !== undefined && effect !== 'names');
}

function letsIn(role: string): string {
  return `role "${role}" could log in without hoop`;
}

/** Such a role may change those that hoop logs in with. */
function powerIn(options: ReadonlyMap<string, Option>): string | undefined {
  const power = ['superuser', 'createrole'].find((name) => isOn(options.get(name)?.arg));
  return power && `${power.toUpperCase()} is the right to change roles that hoop logs in with`;
}

type Option = FieldsOf<'DefElem'>;

function optionsOf(nodes: readonly Node[] | undefined): ReadonlyMap<string, Option> {
  return new Map(
    (nodes ?? []).flatMap((node) => {
      const option = as(node, 'DefElem');
      return option === undefined ? [] : [[option.defname ?? '', option] as const];
    }),
  );
}

function isOn(value: Node | undefined): boolean {
  return as(value, 'Boolean')?.boolval === true;
}

function listOf(option: Option | undefined): readonly Node[] {
  return as(option?.arg, 'List')?.items ?? [];
}

function rolesIn(nodes: readonly Node[] | undefined): readonly RoleSpec[] {
  return (nodes ?? []).map((node) => as(node, 'RoleSpec') ?? {});
}

/** The roles that hoop logs in with, and those above and below them. */
export class Logins {
  readonly facts: StatementFacts;
  /** undefined: not known. */
  readonly #own: ReadonlySet<string> | undefined;
  readonly #above: ReadonlySet<string>;
  readonly #below: ReadonlySet<string>;

  constructor(facts: StatementFacts) {
    const { catalog, logins = [] } = facts.context;
    const { roles } = catalog;
    this.facts = facts;
    this.#own = roles && new Set([roles.login, ...logins]);
    const own = this.#own ?? [];
    const members = roles?.members ?? [];
    // Who only administers a role has none of its rights.
    const rights = members.flatMap(({ role, member, isAdminOnly }) =>
      isAdminOnly ? [] : [[member, role] as const],
    );
    this.#above = reachable(own, rights);
    this.#below = reachable(
      own,
      members.map(({ role, member }) => [role, member] as const),
    );
  }

  /** Whether one of these roles is hoop's own, or related to it. */
  ofHoop(roles: readonly RoleSpec[]): string | undefined {
    return this.named(roles.map((role) => this.#nameOf(role)));
  }

  named(names: readonly (string | undefined)[]): string | undefined {
    if (this.#own === undefined || names.includes(undefined)) {
      return 'hoop does not know whether it is about a role of its own';
    }
    const own = names.find((name) => this.#own?.has(name ?? ''));
    if (own !== undefined) return `hoop logs in with role "${own}"`;
    const kin = names.find((name) => this.#above.has(name ?? '') || this.#below.has(name ?? ''));
    return kin === undefined
      ? undefined
      : `role "${kin}" has a membership in common with the role that hoop logs in with`;
  }

  /** Whether who gets one of these roles gets the rights of hoop's own. */
  holding(roles: readonly RoleSpec[]): string | undefined {
    const names = roles.map((role) => this.#nameOf(role));
    const isBelow = names.every((name) => name !== undefined && !this.#gives(name));
    return isBelow && this.#own !== undefined ? undefined : this.named(names);
  }

  /** Whether they are hoop's own, related ones or everyone. */
  concerns(roles: readonly RoleSpec[]): boolean {
    return roles.some(
      (role) => role.roletype === 'ROLESPEC_PUBLIC' || this.ofHoop([role]) !== undefined,
    );
  }

  database(name: string | undefined): string | undefined {
    return name === this.facts.context.catalog.database
      ? `hoop connects to database "${name}"`
      : undefined;
  }

  /** Whether a definition names a function that may change logins. */
  calling(definition: Node): string | undefined {
    const { catalog } = this.facts.context;
    for (const names of namesInside(definition)) {
      const schemas = names.length > 1 ? [names.at(-2) ?? ''] : catalog.schemas;
      const all = schemas.flatMap((schema) => catalog.functions(schema, names.at(-1) ?? ''));
      const found = all.find(({ mayChangeLogins }) => mayChangeLogins);
      if (found) return `it has ${found.name}() called`;
    }
    return undefined;
  }

  #gives(name: string): boolean {
    return this.#own?.has(name) === true || this.#below.has(name);
  }

  #nameOf({ roletype, rolename }: RoleSpec): string | undefined {
    switch (roletype) {
      case 'ROLESPEC_CSTRING':
        return rolename;
      case 'ROLESPEC_CURRENT_ROLE':
      case 'ROLESPEC_CURRENT_USER':
        return this.facts.context.role;
      default:
        // SESSION_USER is hoop's, or the one that a statement before has taken.
        return undefined;
    }
  }
}

/** Every list of names in a tree. */
function namesInside(tree: unknown): (readonly string[])[] {
  if (typeof tree !== 'object' || tree === null) return [];
  const names = Array.isArray(tree) ? (namesOf(tree) ?? []) : [];
  return [...(names.length > 0 ? [names] : []), ...Object.values(tree).flatMap(namesInside)];
}

function reachable(
  from: Iterable<string>,
  edges: readonly (readonly [string, string])[],
): ReadonlySet<string> {
  const found = new Set<string>();
  const open = [...from];
  for (let role = open.pop(); role !== undefined; role = open.pop()) {
    for (const [start, end] of edges) {
      if (start !== role || found.has(end)) continue;
      found.add(end);
      open.push(end);
    }
  }
  return found;
}
