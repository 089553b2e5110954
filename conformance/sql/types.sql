-- Every built-in type that a column can have, with its NULL, its edges and arrays of it.
CREATE SCHEMA types;
CREATE TABLE types.numbers (a int2, b int4, c int8, d numeric, e float4, f float8, g money, h oid, i bool, j int2[], k numeric[], l float8[][]);
INSERT INTO types.numbers VALUES
  (-32768, -2147483648, -9223372036854775808, 'NaN', '-Infinity', 'NaN', '-12.34', 4294967295, true, '{1,NULL,-1}', '{1e100,NaN,0.00}', '{{1,2},{NaN,-0}}'),
  (32767, 2147483647, 9223372036854775807, '-Infinity', 1e38, 1.7976931348623157e308, '9.99', 0, false, '[0:1]={1,2}', '{}', '{}'),
  (0, 0, 0, 123456789012345678901234567890.123456789, 0.1, 0.1, '0', 1, NULL, NULL, NULL, NULL);
CREATE TABLE types.texts (a text, b varchar(5), c char(5), d name, e "char", f bytea, g text[], h xml, i json, j jsonb, k jsonpath);
INSERT INTO types.texts VALUES
  ('', '', '', '', '', '', '{}', '', '""', '""', '$'),
  (E'\\N \\. \t \n \r \b "\'', 'üöäß€', 'a', 'name', 'x', '\x00ff0a0d5c', '{"a,b","{\"}",NULL,"NULL",""}', '<a b="c">ü</a>', '{"a" : [1, 2.0,null]}', '{"a" : [1, 2.0,null]}', '$.a[*] ? (@ > 1)'),
  (repeat('long ', 30000), NULL, NULL, NULL, NULL, decode(repeat('00ff', 20000), 'hex'), array_fill('x'::text, ARRAY[3, 3]), NULL, NULL, (SELECT jsonb_object_agg(g, repeat('v', 20)) FROM generate_series(1, 300) g), NULL);
CREATE TABLE types.times (a date, b time, c timetz, d timestamp, e timestamptz, f interval, g time(0), h timestamptz(3), i date[], j interval[]);
INSERT INTO types.times VALUES
  ('4713-01-01 BC', '00:00', '24:00:00-15:59', '-infinity', 'infinity', '-178000000 years', '12:34:56', '2020-02-29 23:59:59.9996Z', '{infinity,0001-01-01 BC}', '{1 day,-1 mon 3.5 s}'),
  ('5874897-12-31', '23:59:59.999999', '12:00+05:45', '294276-12-31 23:59:59.999999', '4714-11-24 00:00:00Z BC', '1 year 2 months 3 days 04:05:06.789', '24:00', NULL, NULL, NULL);
CREATE TABLE types.places (a point, b line, c lseg, d box, e path, f polygon, g circle, h inet, i cidr, j macaddr, k macaddr8, l box[]);
INSERT INTO types.places VALUES
  ('(1.5,-2)', '{1,2,3}', '[(0,0),(1,1)]', '(1,1),(0,0)', '[(0,0),(1,1)]', '((0,0),(1,1),(1,0))', '<(0,0),5>', '::ffff:1.2.3.4/120', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', '{(1,1),(0,0);(2,2),(1,1)}'),
  ('(Infinity,NaN)', NULL, NULL, NULL, '((0,0),(1,1))', NULL, NULL, '192.168.0.1', '2001:db8::/32', NULL, NULL, NULL);
CREATE TABLE types.others (a uuid, b bit(3), c varbit, d tsvector, e tsquery, f pg_lsn, g int4range, h nummultirange, i tstzrange, j txid_snapshot, k regclass, l regtype, m regproc, n xid, o cid, p tid, q int2vector, r oidvector, s pg_snapshot, t refcursor, u aclitem, v daterange[]);
INSERT INTO types.others VALUES
  ('00000000-0000-0000-0000-000000000001', B'101', B'', '''a b'':1A,2 c', 'a & !(b | c:*)', '16/B374D848', '[1,5)', '{[1,2),(3,4.5]}', '(,"2020-01-01 00:00:00+00"]', '10:20:10,14', 'pg_class', 'int4', 'now', '42', '3', '(1,2)', '1 2 3', '1 2', '10:20:10,14', 'c', '=r/postgres', '{"[2020-01-01,2020-01-02)",empty}'),
  (NULL, NULL, repeat('10', 100)::varbit, '', '', '0/0', 'empty', '{}', '(,)', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', '', NULL, NULL, NULL, NULL);
