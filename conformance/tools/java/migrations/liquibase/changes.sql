--liquibase formatted sql
--changeset ann:1
create table teams (id serial primary key, name text not null unique);
alter table teams add column city text;
--rollback drop table teams;
--changeset ann:2 splitStatements:false
create table members (id int primary key, team int references teams); create index members_team on members (team);
--rollback drop table members;
