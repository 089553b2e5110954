import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Plugin } from 'vitest/config';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Where a source file names one beside it that is started as a file, in a checkout and in dist/. */
const NAMED = /new URL\(`\.\/([\w-]+)\.\$\{extension\}`, import\.meta\.url\)/g;

/**
 * Threads and helper processes of what is tested start from dist/, as users get them; build-once.ts
 * has just built it. From src/ Node.js would strip the types of 90 modules for each thread anew,
 * which is two thirds of what it takes to start the SQL parser, and the tests start hundreds.
 */
export function builtThreads(): Plugin {
  return {
    name: 'built-threads',
    enforce: 'pre',
    transform(code, id) {
      const source = relative(join(root, 'src'), id);
      if (source.startsWith('..') || !/\$\{extension\}/.test(code)) {
        return undefined;
      }
      const built = join(root, 'dist', dirname(source));
      const changed = code.replace(NAMED, (_, name: string) => {
        const url = pathToFileURL(join(built, `${name}.js`)).href;
        return `new URL(${JSON.stringify(url)})`;
      });
      if (changed === code) {
        throw new Error(
          `${source} starts a file in a way that test/built-threads.ts does not know`,
        );
      }
      return changed;
    },
  };
}
