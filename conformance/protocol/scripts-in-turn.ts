/**
 * Texts of several statements in which later ones need what earlier ones make: what migration tools,
 * schema builders and consoles send in one Query. Each takes away what it has made.
 */
import { copyData, copyDone, copyFail, query } from './messages.ts';
import { type Script, type Step, step } from './script.ts';

const SETTLE: Step = { send: [], after: 'settle' };
const texts = (title: string, ...all: readonly string[]): Script => ({
  title,
  steps: [...all.map((text) => step(query(text))), SETTLE],
});

export const IN_TURN: readonly Script[] = [
  texts(
    'a table made, altered, filled and read (Knex, psql -c)',
    `create table made (id serial primary key, v text);
     alter table made add column n numeric default 7;
     create index on made (v);
     comment on table made is 'made here';
     insert into made (v) values ('a'), ('b') returning id, v, n;
     select id, v, n from made order by id`,
    "insert into made (v) values ('c'); select count(*) from made",
    'alter table made rename to named; select v from named order by id; drop table named',
  ),
  texts(
    'with BEGIN and COMMIT in the text (Alembic offline, Flyway)',
    `BEGIN;
     CREATE TABLE versions (version_num varchar(32) NOT NULL, CONSTRAINT versions_pkc PRIMARY KEY (version_num));
     CREATE TABLE account (id serial NOT NULL, name varchar(50) NOT NULL, PRIMARY KEY (id));
     INSERT INTO versions (version_num) VALUES ('1975ea83b712');
     UPDATE versions SET version_num = 'ae1027a6acf' WHERE versions.version_num = '1975ea83b712';
     COMMIT;`,
    'BEGIN; CREATE TABLE third (id int); INSERT INTO third VALUES (1)',
    'SELECT * FROM third; ROLLBACK',
    'SELECT version_num FROM versions; DROP TABLE versions, account',
    'CREATE TABLE third (id int); COMMIT; INSERT INTO third VALUES (1); ROLLBACK; SELECT * FROM third; DROP TABLE third',
    'BEGIN; CREATE TABLE third (id int); BEGIN; INSERT INTO third VALUES (1); COMMIT; COMMIT; DROP TABLE third',
  ),
  texts(
    'an error stops the rest and takes back what came before',
    'create table made (id int); insert into made values (1); select 1/0; select id from made',
    'select 1; create table made (id int); insert into made values (1), (2); drop table made',
    'create table made (id int); insert into made values (1); select nothing from made',
    "create table made (id int); insert into made values (1); select 'x'::int from made",
    'begin; create table made (id int); insert into made values (1); select 1/0; commit',
    'select 1',
    'rollback; create table made (id int); insert into made values (1); drop table made',
    'create table made (id int); commit; insert into made values (1); select 1/0 from made',
    'select count(*) from made; drop table made; select 2',
    'create table made (id int); savepoint s; insert into made values (1)',
    'create table made (id int); insert into made values (1); vacuum made',
    "create table made (id int check (id > 0)); insert into made values (1); insert into made values (-1); select 'never'",
  ),
  texts(
    'what wants a transaction block has one',
    'create table made (id int); lock table made; insert into made values (1); drop table made',
    'create table made (id int); insert into made values (1); declare c cursor for select id from made; fetch all from c; close c; drop table made',
    'create table made (id int); set local statement_timeout = 12345; insert into made values (1); show statement_timeout; drop table made',
    'show statement_timeout',
    'begin; create table made (id int); savepoint s; insert into made values (1); rollback to s; select * from made; commit; drop table made',
    'set transaction isolation level repeatable read; create table made (id int); select 1',
    'drop table made',
  ),
  texts(
    'settings and names',
    'create schema place; set search_path = place, public; create table made (id int); insert into made values (1); select * from made; drop schema place cascade; reset search_path',
    "set application_name = 'first'; create table made (id int); insert into made values (1); drop table made; set application_name = 'second'",
    'prepare p as select 7; execute p; deallocate p',
    'create table made (id int); prepare p (int) as insert into made values ($1); execute p (3); select * from made; drop table made; deallocate p',
    'create temp table made (id int); insert into made values (1); select * from made; drop table made',
    'drop table if exists made; create table made (id int); insert into made values (1); drop table made',
    "create type made as enum ('a', 'b'); create table typed (v made); insert into typed values ('a'); select v from typed; drop table typed; drop type made",
    'create view made as select id, v from t; select id, v from made where id < 3 order by id; drop view made',
  ),
  texts(
    'notices and errors at the end stand where they stand directly',
    "create table made (id int); insert into made values (1); select noisy('once') from made; drop table made",
    'create table parents (id int primary key); create table made (id int references parents deferrable initially deferred); insert into made values (5)',
    'create table parents (id int primary key); create table made (id int references parents deferrable initially deferred); insert into made values (5); commit; select 1',
    'create table parents (id int primary key); create table made (id int references parents deferrable initially deferred); insert into made values (5); set constraints all immediate; select 1',
    'create table made (id int); create table if not exists made (id int); insert into made values (1); commit; drop table made',
    "create table made (v text); insert into made values ('Grüße\\n'); select v from made; drop table made",
    "create table made (v text); select noisy('ü'); insert into made values ('Grüße'); select v from made; drop table made",
  ),
  {
    title: 'COPY among them',
    steps: [
      step(
        query(
          'create table made (id int, v text); copy made from stdin; select * from made; copy made to stdout; drop table made',
        ),
      ),
      step(copyData('1\tone\n2\ttwo\n'), copyDone),
      step(query('create table made (id int); copy made from stdin; select count(*) from made')),
      step(copyFail('no more')),
      step(query('create table made (id int); copy made from stdin; select count(*) from made')),
      step(copyData('x\n'), copyDone),
      step(query('select 1')),
      SETTLE,
    ],
  },
];
