import { startSqlBench } from './test/policy/sql/sql-bench.ts';
import { evaluate } from './src/policy/sql/evaluate.ts';
import { grantOf } from './test/policy/sql/grant-fixture.ts';
const bench = await startSqlBench('test/policy/sql/inference.sql');
const { readFileSync } = await import('node:fs');
const inference = (process.argv[3] ?? 'deny') as 'allow'|'deny';
const grant = grantOf({ rules: ['allow *'], masks: ['public.staff.token full','public.staff.pin full','public.staff.email partial','public.staff.tag hash','public.leads.tag hash','public.staff.n null'], inference });
for (const line of readFileSync(process.argv[2]!, 'utf8').split('\n')) {
  const sql = line.trim(); if (!sql || sql.startsWith('--')) { console.log(line); continue; }
  try {
  const analyses = await bench.analyse(sql);
  const v = evaluate(analyses, grant, { catalog: bench.context.catalog, text: sql });
  if (v.effect === 'allow') console.log('ALLOW ', v.statements.map(s => (s.masks ?? []).map(m => m ? (m.document ? JSON.stringify(m.document).slice(0,300) : m.mask) : '-').join(' ')).join(' ; '), ' | ', sql);
  else console.log('refuse', v.refusal.message, ' | ', sql);
  } catch (e) { console.log('ERROR', String(e).slice(0,200), sql); }
}
await bench[Symbol.asyncDispose]();
