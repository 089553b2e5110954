/**
 * What a terminal would show, after the terminal filter: so that a recording can be looked at in a
 * window of another size, paused and gone back in, and the viewer's own terminal is never in the
 * recording's hands. It knows what the filter lets through, and nothing else gets here.
 */
import { textWidth } from '../text/text-width.ts';
import { applySgr, type CellStyle, PLAIN_CELL, sequenceOf } from './cell-style.ts';

interface Cell {
  /** Empty: the right half of the wide character before it. */
  text: string;
  style: CellStyle;
}

/** No screen is larger; a recording may say anything. */
const MAX_COLUMNS = 500;
const MAX_ROWS = 300;
/** Marks on one character. */
const MAX_CELL_LENGTH = 16;
const TAB = 8;

const TOKEN =
  /\x1b\[([0-9;:?]*)([A-Za-z@])|\x1b\(([0B])|\x1b([78DEM])|([\n\r\t\b])|([^\x1b\n\r\t\b]+)|[\s\S]/gu;

/** DEC Special Graphics: https://vt100.net/docs/vt220-rm/table2-4.html */
const LINE_DRAWING: Readonly<Record<string, string>> = Object.fromEntries(
  [...'`abcdefghijklmnopqrstuvwxyz{|}~'].map((key, index) => [
    key,
    [...'◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·'][index] ?? key,
  ]),
);

interface Cursor {
  readonly x: number;
  readonly y: number;
  readonly style: CellStyle;
  readonly draws: boolean;
}

const HOME: Cursor = { x: 0, y: 0, style: PLAIN_CELL, draws: false };

export class TerminalScreen {
  #columns = 80;
  #rows = 24;
  #grid: Cell[][];
  /** The main screen while the alternate one is shown. */
  #main: Cell[][] | undefined;
  #x = 0;
  #y = 0;
  #style: CellStyle = PLAIN_CELL;
  #draws = false;
  #wraps = true;
  #showsCursor = true;
  #top = 0;
  #bottom = 23;
  #saved: Cursor = HOME;
  #last = ' ';

  constructor() {
    this.#grid = this.#blank(this.#rows);
  }

  get columns(): number {
    return this.#columns;
  }

  get rows(): number {
    return this.#rows;
  }

  /** What is at the bottom stays at the bottom, as terminals do. */
  resize(columns: number, rows: number): void {
    this.#columns = clamp(columns, 1, MAX_COLUMNS);
    const before = this.#rows;
    this.#rows = clamp(rows, 1, MAX_ROWS);
    const lost = Math.max(0, Math.min(before - this.#rows, this.#y - this.#rows + 1));
    const resized = (grid: Cell[][]): Cell[][] => {
      const kept = grid.slice(lost, lost + this.#rows).map((line) => this.#fitLine(line));
      return [...kept, ...this.#blank(this.#rows - kept.length)];
    };
    this.#grid = resized(this.#grid);
    this.#main = this.#main && resized(this.#main);
    this.#top = 0;
    this.#bottom = this.#rows - 1;
    this.#move(this.#x, this.#y - lost);
  }

  /** @param text what TerminalFilter has let through */
  write(text: string): void {
    for (const [, parameters, final, charset, cursor, control, run] of text.matchAll(TOKEN)) {
      if (run !== undefined) {
        for (const character of run) {
          this.#put(character);
        }
      } else if (final !== undefined) {
        this.#sequence(parameters ?? '', final);
      } else if (control !== undefined) {
        this.#control(control);
      } else if (charset !== undefined) {
        this.#draws = charset === '0';
      } else if (cursor === '7') {
        this.#saved = { x: this.#x, y: this.#y, style: this.#style, draws: this.#draws };
      } else if (cursor === '8') {
        this.#restore();
      } else if (cursor === 'M') {
        this.#lineUp();
      } else if (cursor !== undefined) {
        this.#x = cursor === 'E' ? 0 : this.#x;
        this.#lineFeed();
      }
    }
  }

  /** The part of it that holds the cursor, where it is larger. @returns lines with colours */
  lines(columns: number, rows: number): string[] {
    const first = clamp(this.#y - rows + 1, 0, Math.max(0, this.#rows - rows));
    const left = clamp(this.#x - columns + 1, 0, Math.max(0, this.#columns - columns));
    return this.#grid.slice(first, first + rows).map((line, index) => {
      const cursorAt = this.#showsCursor && first + index === this.#y ? this.#x : -1;
      return painted(line.slice(left, left + columns), cursorAt - left);
    });
  }

  #put(character: string): void {
    const shown = this.#draws ? (LINE_DRAWING[character] ?? character) : character;
    const width = character < '\x7f' ? 1 : Math.min(2, textWidth(shown));
    if (width === 0) {
      this.#mark(shown);
      return;
    }
    if (this.#x + width > this.#columns) {
      if (this.#wraps) {
        this.#x = 0;
        this.#lineFeed();
      } else {
        this.#x = Math.max(0, this.#columns - width);
      }
    }
    const line = this.#line();
    this.#splitWide(line, this.#x);
    this.#splitWide(line, this.#x + width);
    line[this.#x] = { text: shown, style: this.#style };
    if (width === 2 && this.#x + 1 < this.#columns) {
      line[this.#x + 1] = { text: '', style: this.#style };
    }
    this.#x += width;
    this.#last = character;
  }

  /** Half of a wide character that is written over leaves a blank. */
  #splitWide(line: Cell[], at: number): void {
    if (line[at]?.text === '') {
      line[at] = this.#blankCell();
      line[at - 1] = this.#blankCell();
    }
  }

  /** Accents and joiners belong to the character before them. */
  #mark(text: string): void {
    const cell = this.#line()[Math.max(0, Math.min(this.#x, this.#columns) - 1)];
    if (cell !== undefined && cell.text.length < MAX_CELL_LENGTH) {
      cell.text += text;
    }
  }

  #control(control: string): void {
    switch (control) {
      case '\n':
        this.#lineFeed();
        return;
      case '\r':
        this.#x = 0;
        return;
      case '\b':
        this.#x = Math.max(0, Math.min(this.#x, this.#columns) - 1);
        return;
      default:
        this.#x = Math.min(this.#columns - 1, (Math.floor(this.#x / TAB) + 1) * TAB);
    }
  }

  #sequence(parameters: string, final: string): void {
    if (parameters.startsWith('?')) {
      this.#mode(parameters.slice(1).split(';'), final === 'h');
      return;
    }
    if (final === 'm') {
      this.#style = applySgr(this.#style, parameters);
      return;
    }
    const values = parameters.split(';').map(Number);
    const [first = 0, second = 0] = values;
    const count = Math.max(1, first);
    switch (final) {
      case 'A':
        this.#move(this.#x, this.#y - count);
        return;
      case 'B':
        this.#move(this.#x, this.#y + count);
        return;
      case 'C':
        this.#move(this.#x + count, this.#y);
        return;
      case 'D':
        this.#move(Math.min(this.#x, this.#columns - 1) - count, this.#y);
        return;
      case 'E':
        this.#move(0, this.#y + count);
        return;
      case 'F':
        this.#move(0, this.#y - count);
        return;
      case 'G':
        this.#move(count - 1, this.#y);
        return;
      case 'd':
        this.#move(this.#x, count - 1);
        return;
      case 'H':
      case 'f':
        this.#move(Math.max(1, second) - 1, count - 1);
        return;
      case 'r':
        this.#region(count - 1, (second || this.#rows) - 1);
        return;
      case 'b':
        for (let done = 0; done < count; done++) {
          this.#put(this.#last);
        }
        return;
      default:
        this.#edit(final, first, count);
    }
  }

  #edit(final: string, first: number, count: number): void {
    const line = this.#line();
    switch (final) {
      case 'J':
        this.#eraseScreen(first);
        return;
      case 'K':
        this.#erase(line, first === 0 ? this.#x : 0, first === 1 ? this.#x + 1 : this.#columns);
        return;
      case 'X':
        this.#erase(line, this.#x, this.#x + count);
        return;
      case 'P':
        line.splice(this.#x, count);
        this.#grid[this.#y] = this.#fitLine(line);
        return;
      case '@':
        line.splice(this.#x, 0, ...this.#blankLine().slice(0, count));
        this.#grid[this.#y] = this.#fitLine(line);
        return;
      case 'L':
        this.#scroll(this.#y, -count);
        return;
      case 'M':
        this.#scroll(this.#y, count);
        return;
      case 'S':
        this.#scroll(this.#top, count);
        return;
      case 'T':
        this.#scroll(this.#top, -count);
        return;
      default:
        return;
    }
  }

  #mode(modes: readonly string[], isOn: boolean): void {
    for (const mode of modes) {
      if (mode === '7') {
        this.#wraps = isOn;
      } else if (mode === '25') {
        this.#showsCursor = isOn;
      } else if (mode === '1049') {
        this.#alternate(isOn);
      }
    }
  }

  #alternate(isOn: boolean): void {
    if (isOn && this.#main === undefined) {
      this.#saved = { x: this.#x, y: this.#y, style: this.#style, draws: this.#draws };
      this.#main = this.#grid;
      this.#grid = this.#blank(this.#rows);
    } else if (!isOn && this.#main !== undefined) {
      this.#grid = this.#main;
      this.#main = undefined;
      this.#restore();
    }
  }

  #restore(): void {
    this.#style = this.#saved.style;
    this.#draws = this.#saved.draws;
    this.#move(this.#saved.x, this.#saved.y);
  }

  #move(x: number, y: number): void {
    this.#x = clamp(x, 0, this.#columns - 1);
    this.#y = clamp(y, 0, this.#rows - 1);
  }

  #region(top: number, bottom: number): void {
    if (top < bottom && bottom < this.#rows) {
      this.#top = top;
      this.#bottom = bottom;
      this.#move(0, 0);
    }
  }

  #lineFeed(): void {
    if (this.#y === this.#bottom) {
      this.#scroll(this.#top, 1);
    } else {
      this.#y = Math.min(this.#rows - 1, this.#y + 1);
    }
  }

  #lineUp(): void {
    if (this.#y === this.#top) {
      this.#scroll(this.#top, -1);
    } else {
      this.#y = Math.max(0, this.#y - 1);
    }
  }

  /** Lines from `from` to the end of the region move up; down for a negative count. */
  #scroll(from: number, count: number): void {
    if (from < this.#top || from > this.#bottom) {
      return;
    }
    const size = this.#bottom - from + 1;
    const steps = Math.min(size, Math.abs(count));
    if (count > 0) {
      this.#grid.splice(from, steps);
      this.#grid.splice(this.#bottom - steps + 1, 0, ...this.#blank(steps));
    } else {
      this.#grid.splice(this.#bottom - steps + 1, steps);
      this.#grid.splice(from, 0, ...this.#blank(steps));
    }
  }

  #eraseScreen(what: number): void {
    for (const [index, line] of this.#grid.entries()) {
      const isBefore = index < this.#y;
      if (what >= 2 || (what === 0 && index > this.#y) || (what === 1 && isBefore)) {
        this.#erase(line, 0, this.#columns);
      }
    }
    if (what < 2) {
      this.#erase(this.#line(), what === 0 ? this.#x : 0, what === 0 ? this.#columns : this.#x + 1);
    }
  }

  #erase(line: Cell[], from: number, to: number): void {
    for (let at = from; at < Math.min(to, this.#columns); at++) {
      line[at] = this.#blankCell();
    }
  }

  #line(): Cell[] {
    const line = this.#grid[this.#y];
    if (line === undefined) {
      throw new RangeError('the cursor is outside of the screen');
    }
    return line;
  }

  #fitLine(line: readonly Cell[]): Cell[] {
    const kept = line.slice(0, this.#columns);
    return [...kept, ...this.#blankLine().slice(kept.length)];
  }

  #blank(rows: number): Cell[][] {
    return Array.from({ length: Math.max(0, rows) }, () => this.#blankLine());
  }

  #blankLine(): Cell[] {
    return Array.from({ length: this.#columns }, () => this.#blankCell());
  }

  /** What is erased has the background of now. */
  #blankCell(): Cell {
    const { background } = this.#style;
    return {
      text: ' ',
      style: background === undefined ? PLAIN_CELL : { ...PLAIN_CELL, background },
    };
  }
}

function painted(cells: readonly Cell[], cursorAt: number): string {
  let line = '';
  let before = '';
  for (const [index, { text, style }] of cells.entries()) {
    const shown = index === cursorAt ? { ...style, on: [...style.on, 7] } : style;
    const sequence = sequenceOf(shown);
    if (sequence !== before) {
      line += `${before === '' ? '' : '\x1b[0m'}${sequence}`;
      before = sequence;
    }
    line += text;
  }
  return before === '' ? line.trimEnd() : `${line}\x1b[0m`;
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, value));
}
