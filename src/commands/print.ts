/** How a command says its result: one JSON document where `--json` asks for it, else lines for people. */
import { renderJson } from '../ui/render-json.ts';
import type { LineOptions } from '../ui/replay/statement-lines.ts';
import { styleFor } from '../ui/text/style.ts';
import { terminalWidth } from '../ui/text/terminal-width.ts';
import type { Io } from './io.ts';

export interface JsonFlag {
  readonly json?: boolean;
}

/** @returns whether it was asked for: then all is said. */
export function printedAsJson(io: Io, { json }: JsonFlag, document: object): boolean {
  if (json === true) io.stdout.write(`${renderJson(document)}\n`);
  return json === true;
}

/** @param lines without line feeds */
export function printLines(io: Io, lines: readonly string[]): void {
  io.stdout.write(`${lines.join('\n')}\n`);
}

/** What standard output takes. */
export function lookOf(io: Io): LineOptions {
  return { style: styleFor(io.color.stdout), width: terminalWidth(io.stdout, io.env) };
}
