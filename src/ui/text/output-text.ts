/**
 * What a program wrote on a terminal, as text for reading: no colours, no movements; what it wrote
 * over is gone. A screen that was drawn with movements (an editor, top) is for the player.
 */
import { visible } from './printable.ts';
import { TerminalFilter } from './terminal-filter.ts';

/** What the filter lets through and is no text: it writes them whole. */
const SEQUENCE = /\x1b(?:\[[0-9;:?]*[A-Za-z@]|\([0B]|[78DEM])/g;

export class OutputText {
  readonly #filter = new TerminalFilter();
  #line = '';

  /** @returns lines that are complete */
  write(bytes: Uint8Array): string[] {
    const text = this.#line + this.#filter.write(bytes).replace(SEQUENCE, '');
    const lines = text.split('\n');
    this.#line = lines.pop() ?? '';
    if (this.#line.length > MAX_LINE) {
      lines.push(this.#line);
      this.#line = '';
    }
    return lines.map(readable);
  }

  /** @returns the line that has no end */
  end(): string[] {
    const rest = this.#line;
    this.#line = '';
    return rest === '' ? [] : [readable(rest)];
  }
}

/** Characters of one line; a program that never ends one must not fill the memory. */
const MAX_LINE = 64 * 1024;

export function outputLines(text: string): string[] {
  const output = new OutputText();
  return [...output.write(Buffer.from(text)), ...output.end()];
}

/** CR goes back to the beginning, BS by one; the rest of the old text stays where it is longer. */
function readable(line: string): string {
  const cells: string[] = [];
  let at = 0;
  for (const character of line.replace(/\r+$/, '')) {
    if (character === '\r') {
      at = 0;
    } else if (character === '\b') {
      at = Math.max(0, at - 1);
    } else if (character === '\t') {
      do {
        cells[at] = cells[at] ?? ' ';
        at += 1;
      } while (at % 8 !== 0);
    } else {
      cells[at] = character < ' ' ? visible(character) : character;
      at += 1;
    }
  }
  return Array.from(cells, (cell) => cell ?? ' ').join('');
}
