import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluate } from '../../../../src/connectors/postgres/policy/verdict/evaluate.ts';
import { grantOf } from './grant-fixture.ts';
import { type SqlBench, startSqlBench } from './sql-bench.ts';

/** The cases are in inference.txt, whose head says how to read them. */
const CASES = readFileSync(new URL('inference.txt', import.meta.url), 'utf8')
  .split('\n')
  .flatMap((line) => {
    const parts = /^(refuse|allow)(.*?) \| (.+)$/.exec(line);
    return parts ? [{ effect: parts[1], masks: parts[2]?.trim() ?? '', sql: parts[3] ?? '' }] : [];
  });

const MASKS = [
  'public.staff.token full',
  'public.staff.pin full',
  'public.staff.email partial',
  'public.staff.tag hash',
  'public.staff.n null',
  'public.staff.born full',
  'public.staff.vip full',
  'public.leads.tag hash',
  'public.parted.code full',
  'public.worded.d full',
  'public.worded.v partial',
  'public.worded.c full',
  'public.worded.price full',
  'public.worded.other null',
  'public.checked.secret full',
  'public.numbered.pin full',
  'public.numbered.other full',
  'public.profile.mood full',
  'public.profile.host full',
  'public.profile.seen full',
  'public.profile.arr full',
  'public.profile.doc full',
  'public.profile.raw full',
  'public.had_child.email full',
  'public.loose.email full',
  'public.loose.tag hash',
  'public.one_null.pin full',
  'public.half_filled.email full',
];
const RULES = ['allow *'];

describe('where inference is denied, a statement may carry masked columns and compute nothing else', () => {
  let bench: SqlBench;
  beforeAll(async () => {
    bench = await startSqlBench(fileURLToPath(new URL('inference.sql', import.meta.url)));
  });
  afterAll(async () => {
    await bench?.[Symbol.asyncDispose]();
  });

  async function decide(sql: string, inference: 'allow' | 'deny'): Promise<string> {
    const { catalog } = bench;
    const grant = grantOf({ rules: RULES, masks: MASKS, inference });
    const verdict = evaluate(await bench.analyse(sql), grant, { catalog, text: sql });
    return verdict.effect === 'refuse'
      ? `refuse ${verdict.refusal.message}`
      : `allow ${verdict.statements
          .flatMap(({ masks }) => masks ?? [])
          .map((mask) => mask?.mask ?? '-')
          .join(' ')}`.trim();
  }

  test.each(CASES.filter(({ effect }) => effect === 'refuse'))('refused: $sql', async ({ sql }) => {
    expect(await decide(sql, 'deny')).toMatch(/^refuse ./);
  });

  test.each(CASES.filter(({ effect }) => effect === 'allow'))(
    'goes on: $sql',
    async ({ sql, masks }) => {
      expect(await decide(sql, 'deny')).toBe(`allow ${masks}`.trim());
    },
  );

  test('where it is allowed, tests, counts and orders are right, and no value is spelled out', async () => {
    const right: readonly (readonly [sql: string, masks: string])[] = [
      ["SELECT EXISTS (SELECT 1 FROM staff WHERE email = 'a')", '-'],
      [
        'SELECT count(DISTINCT email), count(pin), count(*) FILTER (WHERE token IS NULL) FROM staff',
        '- - -',
      ],
      [
        'SELECT id, row_number() OVER (ORDER BY email), rank() OVER (ORDER BY pin) FROM staff',
        '- - -',
      ],
      [
        "SELECT email = 'a', token LIKE 'a%', token ~ '^a', pin > 3, pin IS NULL, starts_with(token, 'a') FROM staff",
        '- - - - - -',
      ],
      ["SELECT sum(CASE WHEN email LIKE '%@a' THEN 1 ELSE 0 END) FROM staff", '-'],
      ['SELECT name, first_value(id) OVER (ORDER BY email) FROM staff', '- -'],
      ["SELECT bool_or(token = 'a'), (SELECT 1 FROM staff WHERE pin = 1) FROM staff", '- -'],
      [
        'SELECT pin + 1, length(token), first_value(pin) OVER (ORDER BY id), max(vip::int) FROM staff',
        'full full full full',
      ],
    ];
    for (const [sql, masks] of right)
      expect(await decide(sql, 'allow'), sql).toBe(`allow ${masks}`);
    const grant = grantOf({ rules: RULES, masks: MASKS, inference: 'allow' });
    const filter = "SELECT id FROM staff WHERE token LIKE 'a%' AND name = 'x'";
    const verdict = evaluate(await bench.analyse(filter), grant, { catalog: bench.catalog });
    const [allowed] = verdict.effect === 'allow' ? verdict.statements : [];
    expect(allowed?.computed?.map(({ column }) => column)).toEqual(['token']);
    const spelled = [
      'SELECT g FROM staff JOIN (SELECT generate_series(1, 9999) AS g) x ON pin = g',
      'SELECT g, pin = g FROM staff, generate_series(1, 9999) g',
      'SELECT g, 1 / (pin - g) FROM staff, generate_series(1, 9999) g',
      'SELECT CASE WHEN ascii(substr(token, p, 1)) = c THEN c END FROM staff, generate_series(1, 9) p, generate_series(48, 122) c',
      'SELECT nullif(pin, g) FROM staff, generate_series(1, 9999) g',
      'SELECT substr(token, p, 1) FROM staff, generate_series(1, 9) p',
      'SELECT pin IN (g, g + 1) FROM staff, generate_series(1, 9999) g',
      'SELECT (ascii(substr(token, p, 1)) = c) AND pg_try_advisory_lock_shared(id, p * 1000 + c) FROM staff, generate_series(1, 13) p, generate_series(48, 122) c',
      'WITH RECURSIVE r (g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM r WHERE g < 9999) SELECT pin = g FROM staff, r',
    ];
    for (const sql of spelled)
      expect(await decide(sql, 'allow'), sql).toMatch(/^refuse masked column/);
    const tied = [
      "SELECT v.x, token = v.x FROM staff, (VALUES ('a'), ('b')) v (x)",
      "SELECT x, token = x FROM staff, unnest('{a,b}'::text[]) x",
      "SELECT x FROM staff JOIN (SELECT unnest('{a,b}'::text[]) AS x) q ON token = x",
    ];
    for (const sql of tied) expect(await decide(sql, 'allow'), sql).toMatch(/^allow full/);
  });
});
