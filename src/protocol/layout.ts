/**
 * How a body stands in bytes, said once: its fields by name, in their order. What reads it, what
 * writes it and the type of its values follow from that. Readers and writers are the protocol's own.
 */
export interface Field<Reader, Writer, Value> {
  // Methods, so that fields of different values can stand in one layout.
  read(reader: Reader): Value;
  write(writer: Writer, value: Value): void;
}

export type Layout<Reader, Writer> = Readonly<Record<string, Field<Reader, Writer, unknown>>>;

export type ValuesOf<Fields extends Layout<never, never>> = {
  readonly [Name in keyof Fields]: ReturnType<Fields[Name]['read']>;
};

export function readFields<Reader, Fields extends Layout<Reader, never>>(
  fields: Fields,
  reader: Reader,
): ValuesOf<Fields> {
  const values: Record<string, unknown> = {};
  for (const name in fields) values[name] = fields[name]?.read(reader);
  // Each is what the field of its name reads.
  return values as ValuesOf<Fields>;
}

export function writeFields<Writer, Fields extends Layout<never, Writer>>(
  fields: Fields,
  writer: Writer,
  values: ValuesOf<Fields>,
): void {
  for (const name in fields) fields[name]?.write(writer, values[name]);
}

/** Bodies of which a number says which one it is: by name, their number and what follows it. */
export type Variants<Reader, Writer> = Readonly<
  Record<string, { readonly code: number; readonly fields: Layout<Reader, Writer> }>
>;

/** One of them; `Key` is the property that has its name. */
export type OneOf<Key extends string, Table extends Variants<never, never>> = {
  [Name in keyof Table]: { readonly [key in Key]: Name } & ValuesOf<Table[Name]['fields']>;
}[keyof Table];

/** The variants of a table, read behind their number. */
export function variants<
  Reader,
  Writer,
  const Key extends string,
  const Table extends Variants<Reader, Writer>,
>(key: Key, table: Table) {
  const names = new Map(Object.entries(table).map(([name, { code }]) => [code, name]));
  function variantOf(value: OneOf<Key, Table>): Table[keyof Table] {
    const variant = table[value[key]];
    if (variant === undefined) throw new TypeError(`no ${key} is ${String(value[key])}`);
    return variant;
  }
  return {
    /** @returns undefined: none has this number */
    read(code: number, reader: Reader): OneOf<Key, Table> | undefined {
      const name = names.get(code);
      const variant = name === undefined ? undefined : table[name];
      if (variant === undefined) return undefined;
      // The name, and the values that belong to it.
      return { [key]: name, ...readFields(variant.fields, reader) } as OneOf<Key, Table>;
    },
    code: (value: OneOf<Key, Table>): number => variantOf(value).code,
    write: (writer: Writer, value: OneOf<Key, Table>): void =>
      writeFields(variantOf(value).fields, writer, value),
    has: (name: string): boolean => Object.hasOwn(table, name),
  };
}
