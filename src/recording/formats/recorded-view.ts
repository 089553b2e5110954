/** A view as an event can hold it. */
import { cutView, type View } from '../../api/view.ts';
import { canonicalJson } from './canonical-json.ts';

/** Bytes of its JSON; an event is one frame. What an approver can be expected to read is much less. */
const MAX_VIEW = 512 * 1024;
/** Where the whole is longer: characters of what would run, and of any other text; blocks, fields, items. */
const MAX_CODE = 32 * 1024;
const MAX_TEXT = 256;
const MAX_LENGTH = 32;

/** Strings that are not Unicode have no canonical form. The bytes that it is of are in the stream. */
export function recordedView(view: View): View {
  const whole = changed(view, (value) =>
    typeof value === 'string' ? value.toWellFormed() : value,
  );
  if (fits(whole)) return whole;
  const blocks = cutView(whole, MAX_CODE).view.slice(0, MAX_LENGTH);
  const short = blocks.map((block) => ({
    ...changed(block, shortened),
    ...(block.type === 'code' ? { text: block.text } : {}),
  }));
  const warning = {
    type: 'warning',
    text: 'This is only the beginning: the rest is too long to keep.',
  } as const;
  const said: View = [warning, ...short];
  // Many fields, each of characters that JSON writes in six: what would run says most.
  return fits(said) ? said : [warning, ...short.filter(({ type }) => type === 'code')];
}

function fits(view: View): boolean {
  return Buffer.byteLength(canonicalJson(view)) <= MAX_VIEW;
}

function shortened(value: unknown): unknown {
  if (typeof value === 'string') return value.slice(0, MAX_TEXT).toWellFormed();
  return Array.isArray(value) ? value.slice(0, MAX_LENGTH) : value;
}

function changed<T extends View | View[number]>(value: T, change: (value: unknown) => unknown): T {
  return JSON.parse(JSON.stringify(value), (_, member: unknown) => change(member)) as T;
}
