create type level as enum ('low', 'high');
create table payments (
  id bigserial primary key,
  account bigint not null references accounts on delete cascade,
  amount numeric(12, 2) not null check (amount > 0),
  level level not null default 'low'
);
create index payments_account on payments (account);
insert into accounts (name, email) values ('one', 'one@shop.example'), ('two', null);
insert into payments (account, amount) select id, id * 10 from accounts;
create view paid as select a.name, sum(p.amount) as total from accounts a join payments p on p.account = a.id group by 1;
