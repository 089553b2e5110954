/**
 * The worker side of parser.ts: PostgreSQL's own parser (WASM), alone in a thread with a stack
 * of its own. It answers with the tree as JSON text: that is half the cost of a structured clone,
 * and JSON.parse on the other side does not recurse.
 */
import { isMainThread, parentPort } from 'node:worker_threads';
import { hasSqlDetails, loadModule, parseSync } from 'libpg-query';

/** What the worker gets. */
export interface ParseRequest {
  readonly id: number;
  readonly text: string;
  readonly maxDepth: number;
}

/** What it answers, once per request. */
export type ParseAnswer =
  | { readonly id: number; readonly type: 'tree'; readonly json: string; readonly rss: number }
  | { readonly id: number; readonly type: 'depth' }
  | {
      readonly id: number;
      readonly type: 'syntax';
      readonly message: string;
      /** 0-based, in characters; the parser says 0 also when it has no position. */
      readonly cursor: number;
    };

if (!isMainThread && parentPort) {
  const port = parentPort;
  await loadModule();
  port.on('message', (request: ParseRequest) => port.postMessage(answer(request)));
}

/** Anything but a complaint of the parser about the text escapes, and ends this worker. */
function answer({ id, text, maxDepth }: ParseRequest): ParseAnswer {
  let tree: object;
  try {
    // The binding refuses an empty text, which PostgreSQL does not.
    tree = text === '' ? { stmts: [] } : parseSync(text);
  } catch (error) {
    if (hasSqlDetails(error)) {
      const cursor = error.sqlDetails?.cursorPosition ?? 0;
      return { id, type: 'syntax', message: error.message, cursor };
    }
    throw error;
  }
  if (isDeeper(tree, maxDepth)) {
    return { id, type: 'depth' };
  }
  return { id, type: 'tree', json: JSON.stringify(tree), rss: process.memoryUsage.rss() };
}

/** Level by level, without recursion. */
function isDeeper(tree: object, maxDepth: number): boolean {
  let level: object[] = [tree];
  for (let depth = 1; level.length > 0; depth += 1) {
    if (depth > maxDepth) {
      return true;
    }
    const below: object[] = [];
    for (const node of level) {
      for (const value of Object.values(node)) {
        if (typeof value === 'object' && value !== null) {
          below.push(value);
        }
      }
    }
    level = below;
  }
  return false;
}
