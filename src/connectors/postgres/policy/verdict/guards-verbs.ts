/** Verbs by what rules have to say about them. */
import { verbMatches } from '../../../../policy/verbs.ts';

/**
 * Open to whoever may do anything at all: they touch no data themselves. What stands inside
 * (PREPARE x AS DELETE …) is asked about with its own verb, and settings have a guard.
 */
const BUILT_IN: ReadonlySet<string> = new Set([
  'abort',
  'begin',
  'close',
  'commit',
  'copy',
  'deallocate',
  'declare',
  'declare cursor',
  'discard',
  'end',
  'execute',
  'explain',
  'fetch',
  'move',
  'prepare',
  'release',
  'reset',
  'rollback',
  'rollback to',
  'savepoint',
  'set',
  'set constraints',
  // The same as SET default_transaction_…, which is among the harmless settings.
  'set session characteristics',
  'set transaction',
  'show',
  'start transaction',
  'unlisten',
  'values',
]);

/** They change roles, and what roles may do. */
const ROLES: ReadonlySet<string> = new Set([
  'alter role',
  'create role',
  'drop role',
  'grant',
  'revoke',
]);

/** They write to the relations in `writes`. */
const WRITING: ReadonlySet<string> = new Set(['insert', 'update', 'delete', 'merge', 'truncate']);

/**
 * They make code or connections that later run unseen, or run it. A rule must name them; `*`
 * covers them only where the grant restricts nothing.
 */
const CODE: readonly string[] = [
  'alter aggregate',
  'alter database',
  'alter event trigger',
  'alter extension',
  'alter foreign',
  'alter function',
  'alter operator',
  'alter policy',
  'alter procedure',
  'alter publication',
  'alter routine',
  'alter rule',
  'alter schema',
  'alter server',
  'alter subscription',
  'alter system',
  'alter trigger',
  'alter user mapping',
  'call',
  'create access method',
  'create aggregate',
  'create cast',
  'create conversion',
  'create event trigger',
  'create extension',
  'create foreign',
  'create function',
  'create language',
  'create operator',
  'create policy',
  'create procedure',
  'create publication',
  'create rule',
  'create server',
  'create subscription',
  'create text search',
  'create transform',
  'create trigger',
  'create user mapping',
  'do',
  'import foreign schema',
  'load',
];

export function isBuiltInVerb(verb: string): boolean {
  return BUILT_IN.has(verb);
}

export function isWritingVerb(verb: string): boolean {
  return WRITING.has(verb);
}

export function isRoleVerb(verb: string): boolean {
  return ROLES.has(verb);
}

export function isCodeVerb(verb: string): boolean {
  return CODE.some((code) => verbMatches(code, verb));
}
