/**
 * What people are shown of an operation, as data. The connector of its protocol says it in these few
 * forms; it is kept with the request and in the recording, and whoever draws it knows no protocol.
 * Texts are as they were typed: whoever draws them makes them harmless.
 */
import * as z from 'zod';

const Fields = z.array(z.object({ name: z.string(), value: z.string() }));
/** What has no value is not shown; several may have one name. */
export type Fields = z.infer<typeof Fields>;

/** A closed list, since what is recorded today is read by what was built before or long after. */
const ViewBlock = z.discriminatedUnion('type', [
  z.object({ type: z.literal('heading'), text: z.string() }),
  z.object({ type: z.literal('sentence'), text: z.string() }),
  z.object({ type: z.literal('warning'), text: z.string() }),
  /** What would run, to the letter. `language`: `sql`, `shell`, `text`, … */
  z.object({ type: z.literal('code'), language: z.string(), text: z.string() }),
  z.object({ type: z.literal('fields'), fields: Fields }),
  /** Below what it belongs to, e.g. the values of a statement. */
  z.object({ type: z.literal('list'), items: z.array(z.string()) }),
  z.object({
    type: z.literal('table'),
    columns: z.array(z.string()),
    rows: z.array(z.array(z.string())),
  }),
]);
type ViewBlock = z.infer<typeof ViewBlock>;

export const View = z.array(ViewBlock);
export type View = z.infer<typeof View>;

/** Fields that were not known when the view was made; those of the same name are replaced. */
export const LaterFields = Fields.default([]);

export function withLater(view: View, later: Fields): View {
  const known = new Map(later.map(({ name, value }) => [name, value]));
  return view.map((block) =>
    block.type === 'fields'
      ? {
          ...block,
          fields: block.fields.map(({ name, value }) => ({
            name,
            value: known.get(name) ?? value,
          })),
        }
      : block,
  );
}

/** What would run, for where there is room for one text alone. */
export function codeOf(view: View): string | undefined {
  return view.find((block) => block.type === 'code')?.text;
}

/**
 * No more than so much of what may be of any length: code, lists and tables. The rest is for telling
 * what it is, and stays.
 * @param room characters
 * @returns with the characters that are left out
 */
export function cutView(view: View, room: number): { readonly view: View; readonly more: number } {
  let left = room;
  let more = 0;
  const cut = (text: string): string => {
    const kept = text.length <= left ? text : text.slice(0, left).toWellFormed();
    left -= kept.length;
    more += text.length - kept.length;
    return kept;
  };
  /** What does not fit is left out whole: half a value reads like another one. */
  const fits = (texts: readonly string[]): boolean => {
    const length = texts.reduce((sum, text) => sum + text.length, 0);
    if (length > left) {
      more += length;
      return false;
    }
    left -= length;
    return true;
  };
  const blocks = view.map((block): ViewBlock => {
    switch (block.type) {
      case 'code':
        return { ...block, text: cut(block.text) };
      case 'list':
        return { ...block, items: block.items.filter((item) => fits([item])) };
      case 'table':
        return { ...block, rows: block.rows.filter(fits) };
      default:
        return block;
    }
  });
  return { view: blocks, more };
}
