create table accounts (
  id bigint generated always as identity primary key,
  name varchar(80) not null,
  created_at timestamptz not null default now()
);
alter table accounts add column email varchar(200);
create unique index accounts_email on accounts (lower(email));
comment on table accounts is 'of people; and others';
