/** Two texts, line by line: what went and what came, with the lines around it. */

export interface DiffLine {
  readonly sign: '+' | '-' | ' ';
  readonly text: string;
}

/** Cells of the table: beyond it all that is between the first and last difference is shown as other. */
const MAX_CELLS = 1_000_000;
const AROUND = 2;

/** Parts that are the same are left out, but for two lines; `undefined` stands for what is left out. */
export function lineDiff(before: string, after: string): readonly (DiffLine | undefined)[] {
  const [old, now] = [linesOf(before), linesOf(after)];
  let head = 0;
  while (head < old.length && head < now.length && old[head] === now[head]) head += 1;
  let tail = 0;
  while (
    tail < Math.min(old.length, now.length) - head &&
    old[old.length - 1 - tail] === now[now.length - 1 - tail]
  ) {
    tail += 1;
  }
  const middle = middleOf(old.slice(head, old.length - tail), now.slice(head, now.length - tail));
  const same = (lines: readonly string[]): DiffLine[] => lines.map((text) => ({ sign: ' ', text }));
  return nearby([...same(old.slice(0, head)), ...middle, ...same(old.slice(old.length - tail))]);
}

function linesOf(text: string): readonly string[] {
  if (text === '') return [];
  const lines = text.split('\n');
  return lines.at(-1) === ''
    ? lines.slice(0, -1)
    : [...lines.slice(0, -1), `${lines.at(-1)} (no newline at end of file)`];
}

/** The longest common subsequence. */
function middleOf(old: readonly string[], now: readonly string[]): DiffLine[] {
  const gone = (text: string): DiffLine => ({ sign: '-', text });
  const come = (text: string): DiffLine => ({ sign: '+', text });
  if (old.length * now.length > MAX_CELLS) return [...old.map(gone), ...now.map(come)];
  const width = now.length + 1;
  const length = new Uint32Array((old.length + 1) * width);
  const at = (row: number, column: number): number => length[row * width + column] ?? 0;
  for (let row = old.length - 1; row >= 0; row -= 1) {
    for (let column = now.length - 1; column >= 0; column -= 1) {
      length[row * width + column] =
        old[row] === now[column]
          ? at(row + 1, column + 1) + 1
          : Math.max(at(row + 1, column), at(row, column + 1));
    }
  }
  const lines: DiffLine[] = [];
  let [row, column] = [0, 0];
  while (row < old.length || column < now.length) {
    const [was, is] = [old[row], now[column]];
    if (was !== undefined && was === is) {
      lines.push({ sign: ' ', text: was });
      row += 1;
      column += 1;
    } else if (
      was !== undefined &&
      (is === undefined || at(row + 1, column) >= at(row, column + 1))
    ) {
      lines.push(gone(was));
      row += 1;
    } else if (is !== undefined) {
      lines.push(come(is));
      column += 1;
    }
  }
  return lines;
}

function nearby(lines: readonly DiffLine[]): readonly (DiffLine | undefined)[] {
  const isShown = lines.map((_, index) =>
    lines.slice(Math.max(0, index - AROUND), index + AROUND + 1).some(({ sign }) => sign !== ' '),
  );
  return lines.flatMap((line, index) => {
    if (isShown[index]) return [line];
    return index > 0 && isShown[index - 1] && isShown.indexOf(true, index) >= 0 ? [undefined] : [];
  });
}
