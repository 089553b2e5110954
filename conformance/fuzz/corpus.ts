/** Statements to mutate, from the tests of this repository: the acceptance corpus and the schemas. */
import { readFileSync } from 'node:fs';

const ROOT = new URL('../../', import.meta.url);
/** Longer ones would not reach the server's log in one piece. */
const MAX_LENGTH = 800;
/** Would end the server, fill a disk or wait for longer than it helps. */
const UNWANTED =
  /pg_sleep|pg_terminate_backend|pg_cancel_backend|pg_reload_conf|alter\s+system|program|pg_rotate|pg_promote|lo_export|pg_file_write|statement_timeout|log_|\d{7,}\)|tablespace|subscription|replication|drop\s+(role|owned|database)|reassign|password/i;

export function readCorpus(): readonly string[] {
  const cases = readText('test/corpus/mask_public.jsonl').split('\n');
  const schemas = [
    'test/corpus/schema.sql',
    'test/connectors/postgres/policy/decisions.sql',
  ].flatMap((path) => readText(path).split(/;\n/));
  const texts = [...cases.flatMap(textsOf), ...schemas];
  return [...new Set(texts)].filter(isWanted);
}

export function isWanted(text: string): boolean {
  return text.trim() !== '' && text.length <= MAX_LENGTH && !UNWANTED.test(text);
}

function readText(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8');
}

/** The texts of one case, in whatever steps it has. */
function textsOf(line: string): readonly string[] {
  if (line.trim() === '') return [];
  const found: string[] = [];
  // The reviver sees every value with its key.
  JSON.parse(line, function (this: unknown, key: string, value: unknown): unknown {
    const isStatement = ['sql', 'q', 'a', 'b'].includes(key) || Array.isArray(this);
    if (isStatement && typeof value === 'string') found.push(value);
    return value;
  });
  return found;
}
