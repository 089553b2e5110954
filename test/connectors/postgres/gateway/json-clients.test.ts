/** What tools that let the server write JSON send, word by word, and what they get of masked columns. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import { errors, query, RawClient, rows } from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const { target } = testTarget(`
  CREATE SCHEMA shop; ALTER DATABASE postgres SET search_path = shop, public; SET search_path = shop;
  CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, email text, born date);
  INSERT INTO customers VALUES (1, 'Ada', 'ada@mail.example', '1815-12-10'), (2, 'Bob', NULL, NULL);
  CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, title text);
  INSERT INTO orders VALUES (10, 1, 'tea'), (11, 1, 'ink');
`);
const grant = grantOf({
  rules: ['allow *'],
  masks: ['shop.customers.email partial', 'shop.customers.born full'],
  inference: 'deny',
});
const real = realEngine(target);

let engine: Bench;
let client: RawClient;
beforeAll(async () => {
  engine = await startBench({ target: target(), ...real.parts(), grant: () => grant });
  client = await RawClient.open(engine.port);
  await client.ask([query('SET search_path = shop, public')]);
});
afterAll(async () => {
  await client?.[Symbol.asyncDispose]();
  await engine?.[Symbol.asyncDispose]();
});

const EMAIL = 'a***@***.example';
const TEA = { id: 10, title: 'tea' };
const INK = { id: 11, title: 'ink' };

interface Case {
  readonly tool: string;
  readonly sql: string;
  /** The rows, with JSON read. */
  readonly rows: readonly (readonly unknown[])[];
}

const CASES: readonly Case[] = [
  {
    tool: 'Hasura: an array relationship',
    sql: `SELECT coalesce(json_agg("root"), '[]') AS "root" FROM (SELECT row_to_json((SELECT "_e"
      FROM (SELECT "_root.base"."id" AS "id", "_root.base"."email" AS "email",
        "_root.or.orders"."orders" AS "orders") AS "_e")) AS "root"
      FROM (SELECT * FROM "shop"."customers" WHERE ('true')) AS "_root.base"
      LEFT OUTER JOIN LATERAL (SELECT coalesce(json_agg("orders"), '[]') AS "orders" FROM (SELECT
        row_to_json((SELECT "_e" FROM (SELECT "_root.ar.root.orders.base"."id" AS "id",
          "_root.ar.root.orders.base"."title" AS "title") AS "_e")) AS "orders"
        FROM (SELECT * FROM "shop"."orders" WHERE (("_root.base"."id") = ("customer_id")))
          AS "_root.ar.root.orders.base") AS "_root.ar.root.orders") AS "_root.or.orders" ON ('true')
      ORDER BY "_root.base"."id" ASC) AS "_root"`,
    rows: [
      [
        [
          { id: 1, email: EMAIL, orders: [TEA, INK] },
          { id: 2, email: null, orders: [] },
        ],
      ],
    ],
  },
  {
    tool: 'Hasura: an object relationship, ordered',
    sql: `SELECT coalesce(json_agg("root" ORDER BY "root.pg.id" ASC NULLS LAST), '[]') AS "root"
      FROM (SELECT row_to_json((SELECT "_1_e" FROM (SELECT "_root.or.customer"."customer" AS "customer",
        "_root.base"."title" AS "title") AS "_1_e")) AS "root", "_root.base"."id" AS "root.pg.id"
      FROM (SELECT * FROM "shop"."orders" WHERE ('true') ORDER BY "id" ASC NULLS LAST LIMIT 1)
        AS "_root.base"
      LEFT OUTER JOIN LATERAL (SELECT row_to_json((SELECT "_0_e" FROM (SELECT
        "_root.or.customer.base"."name" AS "name", "_root.or.customer.base"."email" AS "email",
        "_root.or.customer.base"."born" AS "born") AS "_0_e")) AS "customer"
        FROM (SELECT * FROM "shop"."customers" WHERE (("_root.base"."customer_id") = ("id")) LIMIT 1)
          AS "_root.or.customer.base") AS "_root.or.customer" ON ('true')
      ORDER BY "root.pg.id" ASC NULLS LAST) AS "_root"`,
    rows: [[[{ customer: { name: 'Ada', email: EMAIL, born: null }, title: 'tea' }]]],
  },
  {
    tool: 'Hasura: an aggregate with nodes',
    sql: `SELECT json_build_object('aggregate', json_build_object('count', COUNT(*)), 'nodes',
        coalesce(json_agg("nodes"), '[]')) AS "root"
      FROM (SELECT row_to_json((SELECT "_e" FROM (SELECT "_root.base"."email" AS "email") AS "_e"))
        AS "nodes" FROM (SELECT * FROM "shop"."customers" WHERE ('true')) AS "_root.base") AS "_root"`,
    rows: [[{ aggregate: { count: 2 }, nodes: [{ email: EMAIL }, { email: null }] }]],
  },
  {
    tool: 'PostgREST and Supabase: embedded rows of many',
    sql: `WITH pgrst_source AS (SELECT "shop"."customers"."id", "shop"."customers"."email",
        COALESCE("customers_orders_1"."customers_orders_1", '[]') AS "orders" FROM "shop"."customers"
        LEFT JOIN LATERAL (SELECT json_agg("customers_orders_1")::jsonb AS "customers_orders_1"
          FROM (SELECT "orders_1"."id", "orders_1"."title" FROM "shop"."orders" AS "orders_1"
            WHERE "orders_1"."customer_id" = "shop"."customers"."id") AS "customers_orders_1")
          AS "customers_orders_1" ON TRUE)
      SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total,
        coalesce(json_agg(_postgrest_t), '[]') AS body,
        nullif(current_setting('response.headers', true), '') AS response_headers,
        nullif(current_setting('response.status', true), '') AS response_status,
        '' AS response_inserted
      FROM (SELECT * FROM pgrst_source) _postgrest_t`,
    rows: [
      [
        null,
        2,
        [
          { id: 1, email: EMAIL, orders: [TEA, INK] },
          { id: 2, email: null, orders: [] },
        ],
        null,
        null,
        '',
      ],
    ],
  },
  {
    tool: 'PostgREST and Supabase: an embedded row of one',
    sql: `WITH pgrst_source AS (SELECT "shop"."orders"."id",
        row_to_json("orders_customers_1".*)::jsonb AS "customers" FROM "shop"."orders"
        LEFT JOIN LATERAL (SELECT "customers_1"."email" FROM "shop"."customers" AS "customers_1"
          WHERE "customers_1"."id" = "shop"."orders"."customer_id") AS "orders_customers_1" ON TRUE)
      SELECT pg_catalog.count(_postgrest_t) AS page_total,
        coalesce(json_agg(_postgrest_t), '[]')::character varying AS body
      FROM (SELECT * FROM pgrst_source ORDER BY id) _postgrest_t`,
    rows: [
      [
        2,
        [
          { id: 10, customers: { email: EMAIL } },
          { id: 11, customers: { email: EMAIL } },
        ],
      ],
    ],
  },
  {
    tool: 'PostgREST and Supabase: only rows that have embedded ones',
    sql: `WITH pgrst_source AS (SELECT "shop"."customers"."id", "x_1"."c_1" AS "orders"
        FROM "shop"."customers" INNER JOIN LATERAL (SELECT json_agg("c_1")::jsonb AS "c_1"
          FROM (SELECT "o"."id", "shop"."customers"."email" FROM "shop"."orders" AS "o"
            WHERE "o"."customer_id" = "shop"."customers"."id") AS "c_1") AS "x_1"
          ON "x_1" IS NOT NULL)
      SELECT coalesce(json_agg(_postgrest_t), '[]') AS body
      FROM (SELECT * FROM pgrst_source) _postgrest_t`,
    rows: [
      [
        [
          {
            id: 1,
            orders: [
              { id: 10, email: EMAIL },
              { id: 11, email: EMAIL },
            ],
          },
        ],
      ],
    ],
  },
  {
    tool: 'PostgREST and Supabase: what a change returns, as one object',
    sql: `WITH pgrst_source AS (UPDATE "shop"."customers" SET "name" = 'Ada'
        WHERE "shop"."customers"."id" = 1 RETURNING "shop"."customers".*)
      SELECT pg_catalog.count(_postgrest_t) AS page_total,
        coalesce((json_agg(_postgrest_t)->0)::text, 'null') AS body
      FROM (SELECT "customers".* FROM "pgrst_source" AS "customers") _postgrest_t`,
    rows: [[1, { id: 1, name: 'Ada', email: EMAIL, born: null }]],
  },
  {
    tool: 'Prisma, relationJoins: a list',
    sql: `SELECT "t1"."id", "t1"."email", "customers_orders"."__prisma_data__" AS "orders"
      FROM "shop"."customers" AS "t1" LEFT JOIN LATERAL (SELECT COALESCE(JSONB_AGG("__prisma_data__"),
        '[]') AS "__prisma_data__" FROM (SELECT "t4"."__prisma_data__" FROM (SELECT
          JSONB_BUILD_OBJECT('id', "t3"."id", 'title', "t3"."title") AS "__prisma_data__"
          FROM (SELECT "t2".* FROM "shop"."orders" AS "t2" WHERE "t1"."id" = "t2"."customer_id"
            /* root select */) AS "t3" /* inner select */) AS "t4" /* middle select */)
          AS "t5" /* outer select */) AS "customers_orders" ON TRUE
      ORDER BY "t1"."id"`,
    rows: [
      [1, EMAIL, [TEA, INK]],
      [2, null, []],
    ],
  },
  {
    tool: 'Prisma, relationJoins: one that must be there',
    sql: `SELECT "t1"."id", "orders_customer"."__prisma_data__" AS "customer",
        JSONB_BUILD_OBJECT('orders', COALESCE("aggr"."_aggr_count", 0)) AS "_count"
      FROM "shop"."orders" AS "t1"
      LEFT JOIN LATERAL (SELECT JSONB_BUILD_OBJECT('id', "t2"."id", 'email', "t2"."email", 'born',
          "t2"."born") AS "__prisma_data__" FROM (SELECT "t0".* FROM "shop"."customers" AS "t0"
          WHERE "t1"."customer_id" = "t0"."id" LIMIT $1 /* root select */) AS "t2")
        AS "orders_customer" ON TRUE
      LEFT JOIN LATERAL (SELECT COUNT(*) AS "_aggr_count" FROM "shop"."orders" AS "t3"
        WHERE "t1"."id" = "t3"."id") AS "aggr" ON TRUE
      ORDER BY "t1"."id"`.replace('$1', '1'),
    rows: [
      [10, { id: 1, email: EMAIL, born: null }, { orders: 1 }],
      [11, { id: 1, email: EMAIL, born: null }, { orders: 1 }],
    ],
  },
  {
    tool: 'Drizzle: with',
    sql: `select "customers"."id", "customers"."email", "customers_orders"."data" as "orders"
      from "customers" "customers" left join lateral (select coalesce(json_agg(json_build_array(
        "customers_orders"."id", "customers_orders"."title", "customers_orders_customer"."data")),
        '[]'::json) as "data" from "orders" "customers_orders" left join lateral (select
          json_build_array("customers_orders_customer"."id", "customers_orders_customer"."email")
          as "data" from (select * from "customers" "customers_orders_customer" where
            "customers_orders_customer"."id" = "customers_orders"."customer_id" limit 1)
            "customers_orders_customer") "customers_orders_customer" on true
        where "customers_orders"."customer_id" = "customers"."id") "customers_orders" on true
      order by "customers"."id"`,
    rows: [
      [
        1,
        EMAIL,
        [
          [10, 'tea', [1, EMAIL]],
          [11, 'ink', [1, EMAIL]],
        ],
      ],
      [2, null, []],
    ],
  },
  {
    tool: 'Drizzle: with, of version 1',
    sql: `select "d0"."id" as "id", "orders"."r" as "orders" from "customers" as "d0" left join
      lateral(select coalesce(json_agg(row_to_json("t".*)), '[]') as "r" from (select "d1"."id" as
        "id", "d0"."email" as "who" from "orders" as "d1" where "d0"."id" = "d1"."customer_id"
        limit 1) as "t") as "orders" on true order by "d0"."id"`,
    rows: [
      [1, [{ id: 10, who: EMAIL }]],
      [2, []],
    ],
  },
  {
    tool: 'Kysely: jsonArrayFrom and jsonObjectFrom',
    sql: `select "id", (select coalesce(json_agg(agg), '[]') from (select "o"."id", "o"."title" from
        "orders" as "o" where "o"."customer_id" = "c"."id" order by "o"."id") as agg) as "orders",
        (select to_json(obj) from (select "c"."email") as obj) as "contact"
      from "customers" as "c" where "id" = 1`,
    rows: [[1, [TEA, INK], { email: EMAIL }]],
  },
  {
    tool: 'PostGraphile',
    sql: `with __local_0__ as (select to_json((json_build_object('__identifiers'::text,
        json_build_array(__local_1__."id"), 'email'::text, (__local_1__."email")))) as "@nodes"
        from (select __local_1__.* from "shop"."customers" as __local_1__ where (TRUE) and (TRUE)
          order by __local_1__."id" ASC LIMIT 1) __local_1__),
      __local_2__ as (select json_agg(to_json(__local_0__)) as data from __local_0__)
      select coalesce((select __local_2__.data from __local_2__), '[]'::json) as "data"`,
    rows: [[[{ '@nodes': { __identifiers: [1], email: EMAIL } }]]],
  },
  {
    tool: 'Django: JSONObject before PostgreSQL 16',
    sql: `SELECT "c"."id", JSONB_BUILD_OBJECT(('name')::text, "c"."name", ('mail')::text, "c"."email")
      AS "json_object" FROM "customers" "c" WHERE "c"."id" = 1`,
    rows: [[1, { name: 'Ada', mail: EMAIL }]],
  },
  {
    tool: 'Django: JSONObject from PostgreSQL 16 on',
    sql: `SELECT JSON_OBJECT('name' VALUE "c"."name", 'mail' VALUE "c"."email" RETURNING JSONB)
      AS "json_object" FROM "customers" "c" WHERE "c"."id" = 1`,
    rows: [[{ name: 'Ada', mail: EMAIL }]],
  },
  {
    tool: 'Rails and SQL by hand',
    sql: `SELECT array_to_json(array_agg(row_to_json(t))) FROM (SELECT "customers"."id",
      "customers"."email" FROM "customers" ORDER BY "customers"."id") t`,
    rows: [
      [
        [
          { id: 1, email: EMAIL },
          { id: 2, email: null },
        ],
      ],
    ],
  },
  {
    tool: 'SQLAlchemy',
    sql: `SELECT JSON_AGG(CAST(JSON_BUILD_OBJECT('id', c.id, 'email', c.email) AS JSONB)) AS all_of_them
      FROM customers c WHERE c.id = 1`,
    rows: [[[{ id: 1, email: EMAIL }]]],
  },
  {
    tool: 'GeoJSON by hand',
    sql: `SELECT json_build_object('type', 'FeatureCollection', 'features', json_agg(json_build_object(
      'type', 'Feature', 'properties', to_jsonb(c) || jsonb_build_object('area', 1))))
      FROM customers c WHERE id = 2`,
    rows: [
      [
        {
          type: 'FeatureCollection',
          features: [
            {
              type: 'Feature',
              properties: { id: 2, name: 'Bob', email: null, born: null, area: 1 },
            },
          ],
        },
      ],
    ],
  },
];

test.each(CASES)('$tool', async ({ sql, rows: expected }) => {
  const received = await client.ask([query(sql)]);
  expect(errors(received)).toEqual([]);
  expect(rows(received).map((row) => row.map(read))).toEqual(expected);
});

/** JSON is read, and what is none is taken as text. */
function read(value: string | null): unknown {
  if (value === null) return null;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
