/** What the statements that are not queries are called, and what they do to the server. */
import { type Node, tagOf } from '../parse/tree.ts';

export interface StatementKind {
  readonly verb: string;
  /** Changes objects, so that names mean something else afterwards. */
  readonly changesCatalog: boolean;
  /** Reaches files, programs, other servers or the server's configuration. */
  readonly server?: string;
}

/** Object kinds whose name is not simply that of the enum, or which belong to another object. */
const OBJECTS: Readonly<Record<string, string>> = {
  OBJECT_AMOP: 'operator family',
  OBJECT_AMPROC: 'operator family',
  OBJECT_ATTRIBUTE: 'type',
  OBJECT_COLUMN: 'table',
  OBJECT_DEFACL: 'default privileges',
  OBJECT_DEFAULT: 'table',
  OBJECT_DOMCONSTRAINT: 'domain',
  OBJECT_FDW: 'foreign data wrapper',
  OBJECT_FOREIGN_SERVER: 'server',
  OBJECT_LARGEOBJECT: 'large object',
  OBJECT_MATVIEW: 'materialized view',
  OBJECT_OPCLASS: 'operator class',
  OBJECT_OPFAMILY: 'operator family',
  OBJECT_STATISTIC_EXT: 'statistics',
  OBJECT_TABCONSTRAINT: 'table',
  OBJECT_TSCONFIGURATION: 'text search configuration',
  OBJECT_TSDICTIONARY: 'text search dictionary',
  OBJECT_TSPARSER: 'text search parser',
  OBJECT_TSTEMPLATE: 'text search template',
};

/** `OBJECT_FOREIGN_TABLE` → `foreign table`. */
export function objectPhrase(kind: string | undefined): string {
  const name = kind ?? '';
  return (
    OBJECTS[name] ??
    name
      .replace(/^OBJECT_/, '')
      .toLowerCase()
      .replaceAll('_', ' ')
  );
}

function ddl(verb: string, server?: string): StatementKind {
  return { verb, changesCatalog: true, ...(server === undefined ? {} : { server }) };
}

function plain(verb: string, server?: string): StatementKind {
  return { verb, changesCatalog: false, ...(server === undefined ? {} : { server }) };
}

/** Statements whose verb does not depend on their fields. */
const FIXED: Readonly<Record<string, StatementKind>> = {
  AlterCollationStmt: ddl('alter collation'),
  AlterDatabaseRefreshCollStmt: ddl('alter database'),
  AlterDatabaseSetStmt: ddl('alter database'),
  AlterDatabaseStmt: ddl('alter database'),
  AlterDefaultPrivilegesStmt: ddl('alter default privileges'),
  AlterDomainStmt: ddl('alter domain'),
  AlterEnumStmt: ddl('alter type'),
  AlterEventTrigStmt: ddl('alter event trigger'),
  AlterExtensionContentsStmt: ddl('alter extension', 'ALTER EXTENSION'),
  AlterExtensionStmt: ddl('alter extension', 'ALTER EXTENSION'),
  AlterFdwStmt: ddl('alter foreign data wrapper', 'ALTER FOREIGN DATA WRAPPER'),
  AlterForeignServerStmt: ddl('alter server', 'ALTER SERVER'),
  AlterOpFamilyStmt: ddl('alter operator family'),
  AlterOperatorStmt: ddl('alter operator'),
  AlterPolicyStmt: ddl('alter policy'),
  AlterPublicationStmt: ddl('alter publication', 'ALTER PUBLICATION'),
  AlterRoleSetStmt: ddl('alter role'),
  AlterRoleStmt: ddl('alter role'),
  AlterSeqStmt: ddl('alter sequence'),
  AlterStatsStmt: ddl('alter statistics'),
  AlterSubscriptionStmt: ddl('alter subscription', 'ALTER SUBSCRIPTION'),
  AlterSystemStmt: plain('alter system', 'ALTER SYSTEM'),
  AlterTSConfigurationStmt: ddl('alter text search configuration'),
  AlterTSDictionaryStmt: ddl('alter text search dictionary'),
  AlterTableMoveAllStmt: ddl('alter table'),
  AlterTableSpaceOptionsStmt: ddl('alter tablespace'),
  AlterTypeStmt: ddl('alter type'),
  AlterUserMappingStmt: ddl('alter user mapping', 'ALTER USER MAPPING'),
  CheckPointStmt: plain('checkpoint'),
  ClusterStmt: plain('cluster'),
  CommentStmt: ddl('comment'),
  CompositeTypeStmt: ddl('create type'),
  ConstraintsSetStmt: plain('set constraints'),
  CreateAmStmt: ddl('create access method', 'CREATE ACCESS METHOD'),
  CreateCastStmt: ddl('create cast'),
  CreateConversionStmt: ddl('create conversion'),
  CreateDomainStmt: ddl('create domain'),
  CreateEnumStmt: ddl('create type'),
  CreateEventTrigStmt: ddl('create event trigger'),
  CreateExtensionStmt: ddl('create extension', 'CREATE EXTENSION'),
  CreateFdwStmt: ddl('create foreign data wrapper', 'CREATE FOREIGN DATA WRAPPER'),
  CreateForeignServerStmt: ddl('create server', 'CREATE SERVER'),
  CreateForeignTableStmt: ddl('create foreign table', 'CREATE FOREIGN TABLE'),
  CreateOpClassStmt: ddl('create operator class'),
  CreateOpFamilyStmt: ddl('create operator family'),
  CreatePLangStmt: ddl('create language', 'CREATE LANGUAGE'),
  CreatePolicyStmt: ddl('create policy'),
  CreatePublicationStmt: ddl('create publication', 'CREATE PUBLICATION'),
  CreateRangeStmt: ddl('create type'),
  CreateRoleStmt: ddl('create role'),
  CreateSchemaStmt: ddl('create schema'),
  CreateSeqStmt: ddl('create sequence'),
  CreateStatsStmt: ddl('create statistics'),
  CreateStmt: ddl('create table'),
  CreateSubscriptionStmt: ddl('create subscription', 'CREATE SUBSCRIPTION'),
  CreateTableSpaceStmt: ddl('create tablespace', 'CREATE TABLESPACE'),
  CreateTransformStmt: ddl('create transform'),
  CreateTrigStmt: ddl('create trigger'),
  CreateUserMappingStmt: ddl('create user mapping', 'CREATE USER MAPPING'),
  CreatedbStmt: ddl('create database'),
  DropOwnedStmt: ddl('drop owned'),
  DropRoleStmt: ddl('drop role'),
  DropSubscriptionStmt: ddl('drop subscription', 'DROP SUBSCRIPTION'),
  DropTableSpaceStmt: ddl('drop tablespace'),
  DropUserMappingStmt: ddl('drop user mapping'),
  DropdbStmt: ddl('drop database'),
  ImportForeignSchemaStmt: ddl('import foreign schema', 'IMPORT FOREIGN SCHEMA'),
  IndexStmt: ddl('create index'),
  ListenStmt: plain('listen'),
  LoadStmt: plain('load', 'LOAD'),
  LockStmt: plain('lock'),
  NotifyStmt: plain('notify'),
  ReassignOwnedStmt: ddl('reassign owned'),
  RefreshMatViewStmt: plain('refresh materialized view'),
  ReindexStmt: plain('reindex'),
  ReplicaIdentityStmt: ddl('alter table'),
  RuleStmt: ddl('create rule'),
  SecLabelStmt: ddl('security label'),
  TruncateStmt: plain('truncate'),
  UnlistenStmt: plain('unlisten'),
};

/** @returns undefined for queries, session statements and anything that is not known. */
export function statementKind(node: Node): StatementKind | undefined {
  const fixed = FIXED[tagOf(node) ?? ''];
  if (fixed) return fixed;
  if ('DropStmt' in node) return ddl(`drop ${objectPhrase(node.DropStmt.removeType)}`);
  if ('AlterTableStmt' in node) return ddl(`alter ${objectPhrase(node.AlterTableStmt.objtype)}`);
  if ('AlterOwnerStmt' in node) return ddl(`alter ${objectPhrase(node.AlterOwnerStmt.objectType)}`);
  if ('AlterObjectSchemaStmt' in node) {
    return ddl(`alter ${objectPhrase(node.AlterObjectSchemaStmt.objectType)}`);
  }
  if ('AlterObjectDependsStmt' in node) {
    return ddl(`alter ${objectPhrase(node.AlterObjectDependsStmt.objectType)}`);
  }
  if ('AlterFunctionStmt' in node) {
    return ddl(`alter ${objectPhrase(node.AlterFunctionStmt.objtype)}`);
  }
  if ('RenameStmt' in node) {
    const { renameType, relationType } = node.RenameStmt;
    return ddl(`alter ${objectPhrase(renameType === 'OBJECT_COLUMN' ? relationType : renameType)}`);
  }
  if ('DefineStmt' in node) return ddl(`create ${objectPhrase(node.DefineStmt.kind)}`);
  if ('CreateFunctionStmt' in node) {
    return ddl(node.CreateFunctionStmt.is_procedure ? 'create procedure' : 'create function');
  }
  if ('GrantStmt' in node) return ddl(node.GrantStmt.is_grant ? 'grant' : 'revoke');
  if ('GrantRoleStmt' in node) return ddl(node.GrantRoleStmt.is_grant ? 'grant' : 'revoke');
  if ('VacuumStmt' in node) return plain(node.VacuumStmt.is_vacuumcmd ? 'vacuum' : 'analyze');
  return undefined;
}
