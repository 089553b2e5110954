import { readFileSync } from 'node:fs';

/** A fenced block of a page, as it stands there. */
export interface PageBlock {
  readonly language: string;
  /** Behind the language, or the file that the first line names: `# targets/prod-db.yaml`. */
  readonly name: string | undefined;
  readonly text: string;
}

/** @param page such as `docs/deploy.md` */
export function pageBlocks(page: string): PageBlock[] {
  const text = readFileSync(new URL(`../../${page}`, import.meta.url), 'utf8');
  return [...text.matchAll(/^```(\w*) ?(.*)\n([\s\S]*?)\n```$/gm)].map(
    ([, language = '', marked, block = '']) => ({
      language,
      name: marked || /^# (\/?[\w./-]+\.\w+)(?:$|\n)/.exec(block)?.[1],
      text: block,
    }),
  );
}

export function pageBlock(page: string, name: string): string {
  const [found, ...more] = pageBlocks(page).filter((block) => block.name === name);
  if (found === undefined || more.length > 0) {
    throw new Error(`${page} has ${found === undefined ? 'no' : 'more than one'} block ${name}`);
  }
  return found.text;
}

/**
 * The lines of a block that are commands: of a block with a prompt those behind `$`, of another all.
 * What stands behind `#` is for people.
 */
export function pageCommands(page: string, beginsWith: string): string[] {
  const block = pageBlocks(page).find(({ text }) => text.startsWith(beginsWith));
  if (block === undefined) {
    throw new Error(`${page} has no block that begins with "${beginsWith}"`);
  }
  const lines = block.text.split('\n');
  const prompted = lines.filter((line) => line.startsWith('$ ')).map((line) => line.slice(2));
  return prompted.length > 0 ? prompted : lines.filter((line) => !/^\s*(#|$)/.test(line));
}

/** What a block with a prompt says that the command prints. */
export function pageOutput(page: string, beginsWith: string): string[] {
  const block = pageBlocks(page).find(({ text }) => text.startsWith(beginsWith));
  return (block?.text.split('\n') ?? []).filter((line) => !line.startsWith('$ '));
}
