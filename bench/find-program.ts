import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Servers live in sbin, which is not on everybody's PATH. */
const MORE_PLACES = ['/usr/sbin', '/usr/local/sbin'];

/** @returns the path of the first of these programs that is installed. */
export function findProgram(...names: readonly string[]): string | undefined {
  const places = [...(process.env['PATH'] ?? '').split(delimiter), ...MORE_PLACES];
  return names
    .flatMap((name) => places.map((place) => join(place, name)))
    .find((file) => existsSync(file));
}
