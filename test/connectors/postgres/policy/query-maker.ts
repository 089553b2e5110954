/** A small deterministic generator (mulberry32), so that a failure can be repeated. */
class Dice {
  #state: number;
  constructor(seed: number) {
    this.#state = seed;
  }
  roll(sides: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % sides;
  }
  pick<T>(...choices: readonly [T, ...T[]]): T {
    return choices[this.roll(choices.length)] ?? choices[0];
  }
}

/** Random SELECTs over the sample schema, nested, renamed and mixed; all columns are text. */
export class QueryMaker {
  readonly #dice: Dice;
  readonly #carries: boolean;
  #names = 0;

  /** @param carries mostly expressions that carry columns, and few that compare them */
  constructor(seed: number, carries = false) {
    this.#dice = new Dice(seed);
    this.#carries = carries;
  }

  /** A query of `columns` text columns that are called c1, c2 … outside. */
  query(columns: number, depth: number): string {
    const dice = this.#dice;
    if (depth > 0 && dice.roll(6) === 0) {
      const operator = dice.pick('UNION ALL', 'UNION', 'EXCEPT', 'INTERSECT ALL', 'UNION ALL');
      return `(${this.query(columns, depth - 1)}) ${operator} (${this.query(columns, depth - 1)})`;
    }
    if (depth > 0 && dice.roll(8) === 0) {
      const name = this.#name();
      const names = list(columns, (index) => `w${index}`);
      const body = this.query(columns, depth - 1);
      return `WITH ${name} (${names}) AS ${dice.pick('', 'MATERIALIZED ')}(${body}) SELECT * FROM ${name}`;
    }
    const from = this.#from(depth);
    const targets = list(
      columns,
      () => `${this.#expression(from.columns, 2, depth)}${dice.pick('', ` AS ${this.#name()}`)}`,
    );
    const where = dice.roll(3) === 0 ? ` WHERE ${this.#test(from.columns, 1, depth)}` : '';
    const order = dice.roll(4) === 0 ? ` ORDER BY 1 LIMIT ${1 + dice.roll(5)}` : '';
    return `SELECT ${targets} FROM ${from.sql}${where}${order}`;
  }

  #name(): string {
    this.#names++;
    return this.#dice.pick(
      `n${this.#names}`,
      `n${this.#names}`,
      'secret',
      'name',
      'id',
      'note',
      '"Odd"',
    );
  }

  #from(depth: number): { sql: string; columns: readonly string[] } {
    const alias = `t${++this.#names}`;
    const dice = this.#dice;
    const simple = [
      {
        sql: `people ${alias}`,
        columns: ['id', 'name', 'mail', 'secret', 'born', 'backwards', 'initial'],
      },
      { sql: `tasks AS ${alias}`, columns: ['id', 'owner', 'title', 'note'] },
      { sql: `pay ${alias}`, columns: ['id', 'pan', 'month'] },
      { sql: `former_people ${alias}`, columns: ['id', 'name', 'secret', 'left_on'] },
      { sql: `ONLY everyone ${alias}`, columns: ['id', 'secret'] },
      { sql: `named ${alias}`, columns: ['nr', 'who', 'code'] },
      { sql: `named_again ${alias}`, columns: ['note', 'nr'] },
      { sql: `recursive_view ${alias}`, columns: ['n', 'v'] },
      { sql: `harmless ${alias}`, columns: ['id', 'name', 'born'] },
      { sql: `hr.people ${alias}`, columns: ['id', 'secret'] },
      { sql: `people AS ${alias} (a, b, c, d)`, columns: ['a', 'b', 'c', 'd'] },
      { sql: `(VALUES ('x', 'y'), ('z', NULL)) AS ${alias} (v1, v2)`, columns: ['v1', 'v2'] },
      { sql: `generate_series(1, 3) AS ${alias} (g)`, columns: ['g'] },
    ] as const;
    const choice = dice.roll(depth > 0 ? 22 : simple.length);
    const plain = simple[choice];
    if (plain) {
      return { sql: plain.sql, columns: plain.columns.map((column) => `${alias}.${column}`) };
    }
    if (choice < 17) {
      const width = 1 + dice.roll(3);
      const names = Array.from({ length: width }, (_, index) => `q${index}`);
      const sql = `(${this.query(width, depth - 1)}) AS ${alias} (${names.join(', ')})`;
      return { sql, columns: names.map((name) => `${alias}.${name}`) };
    }
    const left = this.#from(depth - 1);
    if (choice < 19) {
      const body = `SELECT ${this.#expression(left.columns, 1, 0)} AS l`;
      return {
        sql: `${left.sql}, LATERAL (${body}) ${alias}`,
        columns: [...left.columns, `${alias}.l`],
      };
    }
    if (choice === 19) {
      const call = `unnest(ARRAY[${this.#expression(left.columns, 1, 0)}])`;
      return {
        sql: `${left.sql}, ${call} AS ${alias} (u)`,
        columns: [...left.columns, `${alias}.u`],
      };
    }
    const right = this.#from(depth - 1);
    const both = [...left.columns, ...right.columns];
    const kind = dice.pick('JOIN', 'LEFT JOIN', 'RIGHT JOIN');
    return { sql: `${left.sql} ${kind} ${right.sql} ON ${this.#test(both, 1, 0)}`, columns: both };
  }

  /** An expression of type text. */
  #expression(columns: readonly string[], size: number, depth: number): string {
    const dice = this.#dice;
    const column = columns[dice.roll(columns.length)] ?? 'NULL';
    const table = column.split('.')[0] ?? '';
    const inner = () => this.#expression(columns, size - 1, 0);
    if (this.#carries && dice.roll(6) > 0) {
      return this.#carried(column, columns, size);
    }
    if (size === 0 || dice.roll(4) === 0) {
      return dice.pick(`${column}::text`, `CAST(${column} AS text)`, `${column}::text`, "'k'");
    }
    if (depth > 0 && dice.roll(6) === 0) {
      return dice.pick(
        () => `(SELECT max(x.m) FROM (${this.query(1, depth - 1)}) AS x (m))`,
        () => `array_to_string(ARRAY(${this.query(1, depth - 1)}), ',')`,
        () => `(SELECT ${column}::text)`,
        () => `(EXISTS (${this.query(1, depth - 1)}))::text`,
      )();
    }
    return dice.pick(
      () => `upper(${inner()})`,
      () => `${inner()} || ${inner()}`,
      () => `coalesce(${inner()}, ${inner()})`,
      () => `CASE WHEN ${this.#test(columns, size - 1, 0)} THEN ${inner()} ELSE ${inner()} END`,
      () => `concat(${inner()}, ${inner()})`,
      () => `to_jsonb(${table})::text`,
      () => `${table}::text`,
      () => `format('%s', ${table})`,
      () => `(ROW(${inner()}, ${inner()})).f2`,
      () => `(ARRAY[${inner()}, ${inner()}])[1 + length(${inner()}) % 2]`,
      () => `json_build_object('a', ${inner()})->>'a'`,
      () => `nullif(${inner()}, '')`,
      () => `greatest(${inner()}, ${inner()})`,
      () => `max(${inner()}) OVER ()`,
      () => `first_value(${inner()}) OVER (ORDER BY ${inner()})`,
      () => `left(${inner()}, 40)`,
      () => `replace(${inner()}, 'x', ${inner()})`,
    )();
  }

  #carried(column: string, columns: readonly string[], size: number): string {
    const dice = this.#dice;
    const other = columns[dice.roll(columns.length)] ?? 'NULL';
    const inner = () => this.#expression(columns, Math.max(0, size - 1), 0);
    return dice.pick(
      () => `${column}::text`,
      () => column,
      () => `lower(${column}::text)`,
      () => `left(upper(${column}::text), ${1 + dice.roll(5)})`,
      () => `coalesce(${column}::text, '-')`,
      () => `coalesce(${column}::text, ${other}::text, '')`,
      () => `${column} || '-' || ${other}`,
      () => `concat(${column}, ' ', ${other})`,
      () => `(SELECT ${column})`,
      () => `CASE WHEN ${other} IS NULL THEN ${inner()} ELSE ${inner()} END`,
      () => `max(${column}::text) OVER ()`,
      () => `first_value(${column}) OVER (ORDER BY ${other})`,
      () => `count(${column}) OVER (PARTITION BY ${other})`,
      () => `${column} IS NULL`,
      () => `(ROW(${inner()}, ${inner()})).f2`,
      () => `ARRAY[${inner()}, ${inner()}]`,
      () => `EXISTS (SELECT ${column} WHERE ${other} IS NOT NULL)`,
    )();
  }

  #test(columns: readonly string[], size: number, depth: number): string {
    const dice = this.#dice;
    if (this.#carries && dice.roll(3) > 0) {
      return `${columns[dice.roll(columns.length)]} IS ${dice.pick('', 'NOT ')}NULL`;
    }
    const side = () => this.#expression(columns, Math.max(0, size), 0);
    return dice.pick(
      () => `${side()} = ${side()}`,
      () => `${side()} IS NOT NULL`,
      () => `${side()} LIKE '%0%'`,
      () => `true OR ${side()} <> 'q'`,
      () => (depth > 0 ? `${side()} IN (${this.query(1, 0)})` : 'true'),
      () => 'true',
    )();
  }
}

function list(count: number, item: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => item(index)).join(', ');
}
