create or replace view small as select id from payments where amount < 15;
