import { readFileSync } from 'node:fs';

/** @returns the block of the page that is marked with this name, as it stands there */
export function pageBlock(name: string): string {
  const page = readFileSync(new URL('../../docs/providers/keycloak.md', import.meta.url), 'utf8');
  const block = new RegExp(`\`\`\`\\w+ ${name.replaceAll('.', '\\.')}\n([\\s\\S]*?)\n\`\`\``).exec(
    page,
  )?.[1];
  if (block === undefined) {
    throw new Error(`docs/providers/keycloak.md has no block ${name}`);
  }
  return block;
}
