/** Colours and the like of what a terminal shows: SGR, ECMA-48 §8.3.117 and xterm's colours. */

export interface CellStyle {
  /** Parameters that are on: 1 bold, 2 dim, 3 italic, 4 underline, 7 inverse, 8 hidden, 9 struck. */
  readonly on: readonly number[];
  /** Parameters that set it, e.g. `31` or `38;5;208`; undefined: the terminal's own. */
  readonly foreground: string | undefined;
  readonly background: string | undefined;
}

export const PLAIN_CELL: CellStyle = { on: [], foreground: undefined, background: undefined };

/** What ends what: 22 ends bold and dim. */
const OFF: Readonly<Record<number, readonly number[]>> = {
  22: [1, 2],
  23: [3],
  24: [4],
  27: [7],
  28: [8],
  29: [9],
};

/** @param parameters of `CSI … m`, as the filter lets them through */
export function applySgr(style: CellStyle, parameters: string): CellStyle {
  const values = parameters.split(/[;:]/).map(Number);
  let { on, foreground, background } = style;
  for (let index = 0; index < values.length; index++) {
    const value = values[index] ?? 0;
    const ends = OFF[value];
    if (value === 0) {
      ({ on, foreground, background } = PLAIN_CELL);
    } else if (ends !== undefined) {
      on = on.filter((one) => !ends.includes(one));
    } else if (value <= 9) {
      on = value === 5 || value === 6 || on.includes(value) ? on : [...on, value];
    } else if (value === 38 || value === 48) {
      const [color, used] = extendedColor(values.slice(index));
      index += used;
      if (value === 38) {
        foreground = color ?? foreground;
      } else {
        background = color ?? background;
      }
    } else if ((value >= 30 && value <= 37) || (value >= 90 && value <= 97)) {
      foreground = String(value);
    } else if ((value >= 40 && value <= 47) || (value >= 100 && value <= 107)) {
      background = String(value);
    } else if (value === 39) {
      foreground = undefined;
    } else if (value === 49) {
      background = undefined;
    }
  }
  return { on, foreground, background };
}

/** @returns the parameters, and how many of them there are behind the first */
function extendedColor(values: readonly number[]): [color: string | undefined, used: number] {
  const [first = 0, mode, ...rest] = values;
  const count = mode === 5 ? 1 : mode === 2 ? 3 : 0;
  const parts = rest.slice(0, count);
  const isColor = parts.length === count && count > 0 && parts.every((part) => part <= 255);
  return [
    isColor ? [first, mode, ...parts].join(';') : undefined,
    Math.min(values.length - 1, count + 1),
  ];
}

/** The sequence that makes a terminal paint like this; empty for its own colours. */
export function sequenceOf({ on, foreground, background }: CellStyle): string {
  const parameters = [
    ...on,
    ...(foreground ? [foreground] : []),
    ...(background ? [background] : []),
  ];
  return parameters.length === 0 ? '' : `\x1b[${parameters.join(';')}m`;
}
