/**
 * The verbs that a rule may name. A misspelt verb in a deny rule would silently protect nothing,
 * so a rule's verb must be one of these, or the beginning of one by whole words.
 * https://www.postgresql.org/docs/18/sql-commands.html
 */
const COMMANDS = `abort
alter aggregate
alter collation
alter conversion
alter database
alter default privileges
alter domain
alter event trigger
alter extension
alter foreign data wrapper
alter foreign table
alter function
alter group
alter index
alter language
alter large object
alter materialized view
alter operator
alter operator class
alter operator family
alter policy
alter procedure
alter publication
alter role
alter routine
alter rule
alter schema
alter sequence
alter server
alter statistics
alter subscription
alter system
alter table
alter tablespace
alter text search configuration
alter text search dictionary
alter text search parser
alter text search template
alter trigger
alter type
alter user
alter user mapping
alter view
analyze
begin
call
checkpoint
close
cluster
comment
commit
commit prepared
copy
copy program
create access method
create aggregate
create cast
create collation
create conversion
create database
create domain
create event trigger
create extension
create foreign data wrapper
create foreign table
create function
create group
create index
create language
create materialized view
create operator
create operator class
create operator family
create policy
create procedure
create publication
create role
create rule
create schema
create sequence
create server
create statistics
create subscription
create table
create table as
create tablespace
create text search configuration
create text search dictionary
create text search parser
create text search template
create transform
create trigger
create type
create user
create user mapping
create view
deallocate
declare
declare cursor
delete
discard
do
drop access method
drop aggregate
drop cast
drop collation
drop conversion
drop database
drop domain
drop event trigger
drop extension
drop foreign data wrapper
drop foreign table
drop function
drop group
drop index
drop language
drop materialized view
drop operator
drop operator class
drop operator family
drop owned
drop policy
drop procedure
drop publication
drop role
drop routine
drop rule
drop schema
drop sequence
drop server
drop statistics
drop subscription
drop table
drop tablespace
drop text search configuration
drop text search dictionary
drop text search parser
drop text search template
drop transform
drop trigger
drop type
drop user
drop user mapping
drop view
end
execute
explain
fetch
grant
grant role
import foreign schema
insert
listen
load
lock
merge
move
notify
prepare
prepare transaction
reassign owned
refresh materialized view
reindex
release
reset
revoke
revoke role
rollback
rollback prepared
rollback to
savepoint
security label
select
select into
set
set constraints
set role
set session authorization
set transaction
show
start transaction
table
truncate
unlisten
update
vacuum
values`.split('\n');

/**
 * Statements after which the target could be reached without hoop, or hoop could not reach it. No
 * other verb includes it for allow and approve, `*` least of all.
 */
export const OWN_LOGIN = 'alter own login';

/** `set NAME` lets a rule speak about one setting, also one with a prefix (`set app.tenant`). */
const SETTING = /^set [a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*$/;

/** Whether a verb in a rule can match anything. Expects lower case and single spaces. */
export function isKnownVerb(verb: string): boolean {
  return (
    verb === '*' ||
    verb === OWN_LOGIN ||
    SETTING.test(verb) ||
    COMMANDS.some((command) => verbMatches(verb, command))
  );
}

/** `drop` matches `drop` and `drop table`, but not `dropped`; `*` matches all. */
export function verbMatches(ruleVerb: string, verb: string): boolean {
  return ruleVerb === '*' || ruleVerb === verb || verb.startsWith(`${ruleVerb} `);
}
