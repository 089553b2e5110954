/**
 * The worker side of parser.ts: PostgreSQL's own parser (WASM), alone in a thread with a stack
 * of its own. It answers with the tree as JSON text: that is half the cost of a structured clone,
 * and JSON.parse on the other side does not recurse. What costs more than others can wait for is
 * judged here as well. Then nothing of the tree leaves, and the verdict goes in lots, each of which
 * the other side takes when it is its turn.
 */
import {
  isMainThread,
  type MessagePort,
  parentPort,
  receiveMessageOnPort,
  workerData,
} from 'node:worker_threads';
import { hasSqlDetails, loadModule, parseSync, type ScanToken, scanSync } from 'libpg-query';
import type { Grant } from '../../../../policy/types.ts';
import type { SqlRefusal, StatementContext } from '../facts/types.ts';
import type { MaskIndex } from '../masks/mask-index.ts';
import { readTriggerBody } from '../triggers/trigger-body.ts';
import { maskIndexOf } from '../verdict/evaluate.ts';
import type { TextRange } from '../writes/copy-query.ts';
import {
  AskedCatalog,
  askedContext,
  type CatalogFacts,
  type CatalogQuestion,
  type ToldContext,
} from './catalog-questions.ts';
import { copiedTexts, isCopied, judgeStatements } from './judge-statements.ts';
import { statementLots } from './statement-lots.ts';
import { WorkBudget } from './work-budget.ts';

/**
 * What it is started with: where answers come, what says that one is there, and where it says how
 * much time of the processor it had used when it took the text (milliseconds; negative: not yet).
 */
export interface WorkerData {
  readonly port: MessagePort;
  readonly bell: Int32Array;
  readonly taken: Int32Array;
}

/** What the worker gets. */
export interface ParseRequest {
  readonly id: number;
  readonly text: string;
  readonly maxDepth: number;
  /** Of its JSON; a larger one is not sent. */
  readonly maxTreeBytes: number;
  readonly judge?: JudgeTask;
  /** It is the body of a trigger function. */
  readonly isTrigger?: true;
}

/** What is not in it is as it was the last time. */
export interface JudgeTask {
  readonly context: ToldContext;
  readonly grant?: Grant;
  readonly catalog?: CatalogFacts;
}

/** What it says: questions and lots as often as it likes, anything else once per request. */
export type ParseAnswer =
  | { readonly id: number; readonly type: 'question'; readonly question: CatalogQuestion }
  /** AllowedStatement of a verdict that allows, StatementAnalysis of one that refuses. */
  | { readonly id: number; readonly type: 'lot'; readonly statements: readonly unknown[] }
  | { readonly id: number; readonly type: 'allowed'; readonly rss: number }
  | {
      readonly id: number;
      readonly type: 'refused';
      readonly refusal: SqlRefusal;
      readonly statement: number;
      readonly fault: Error | undefined;
      readonly rss: number;
    }
  | { readonly id: number; readonly type: 'large' }
  | { readonly id: number; readonly type: 'tree'; readonly json: string; readonly rss: number }
  | { readonly id: number; readonly type: 'depth' }
  | {
      readonly id: number;
      readonly type: 'syntax';
      readonly message: string;
      /** 0-based, in characters; the parser says 0 also when it has no position. */
      readonly cursor: number;
    };

interface Known {
  grant: Grant | undefined;
  catalog: AskedCatalog | undefined;
  masks: MaskIndex | undefined;
}

const TRIGGER_PARSER = { scan: scannedOr, parse: parsedOr };

if (!isMainThread && parentPort) {
  const parent = parentPort;
  // What parser.ts gives it.
  const { port, bell, taken } = workerData as WorkerData;
  const known: Known = { grant: undefined, catalog: undefined, masks: undefined };
  const ask = (question: ParseAnswer): unknown => {
    Atomics.store(bell, 0, 0);
    parent.postMessage(question);
    Atomics.wait(bell, 0, 0);
    return receiveMessageOnPort(port)?.message.answer;
  };
  await loadModule();
  parent.on('message', (request: ParseRequest) => {
    const { user, system } = process.threadCpuUsage();
    Atomics.store(taken, 0, (user + system) / 1000);
    parent.postMessage(answer(request, known, ask));
  });
}

/** Anything but a complaint of the parser about the text escapes, and ends this worker. */
function answer(
  request: ParseRequest,
  known: Known,
  ask: (question: ParseAnswer) => unknown,
): ParseAnswer {
  const { id, text, maxDepth, maxTreeBytes, judge: task, isTrigger } = request;
  // Before the text is looked at: whoever has told it does not tell it again, whatever the text is.
  if (task !== undefined) learn(known, task);
  let tree: object;
  try {
    tree = isTrigger ? { body: readTriggerBody(text, TRIGGER_PARSER) } : treeOf(text);
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
  if (task !== undefined) {
    return judge({ id, text, tree, task, known, ask });
  }
  const json = JSON.stringify(tree);
  return json.length > maxTreeBytes
    ? { id, type: 'large' }
    : { id, type: 'tree', json, rss: process.memoryUsage.rss() };
}

function treeOf(text: string): object {
  // The binding refuses an empty text, which PostgreSQL does not.
  return text === '' ? { stmts: [] } : parseSync(text);
}

function judge(request: {
  readonly id: number;
  readonly text: string;
  readonly tree: object;
  readonly task: JudgeTask;
  readonly known: Known;
  readonly ask: (question: ParseAnswer) => unknown;
}): ParseAnswer {
  const { id, text, tree, task, known, ask } = request;
  const question = (asked: CatalogQuestion): unknown =>
    ask({ id, type: 'question', question: asked });
  const { grant, catalog } = known;
  if (grant === undefined || catalog === undefined) {
    throw new TypeError('the first text comes with a grant and a catalog');
  }
  catalog.ask = question;
  const context: StatementContext = askedContext(task.context, catalog, question);
  let fault: Error | undefined;
  const verdict = judgeStatements({
    tree,
    text,
    copied: rangesOfCopied(tree, text),
    context,
    grant,
    masks: () => {
      known.masks ??= maskIndexOf(grant, catalog);
      return known.masks;
    },
    budget: new WorkBudget(),
    onFault: (error) => {
      fault = error;
    },
  });
  const isAllowed = verdict.effect === 'allow';
  const lots: readonly (readonly unknown[])[] = isAllowed
    ? statementLots(verdict.statements, ({ analysis }) => analysis)
    : statementLots(verdict.analysis, (analysis) => analysis);
  // Each is what the other side reads in one turn.
  for (const statements of lots) ask({ id, type: 'lot', statements });
  const rss = process.memoryUsage.rss();
  if (isAllowed) return { id, type: 'allowed', rss };
  const { refusal, statement } = verdict;
  return { id, type: 'refused', refusal, statement, fault, rss };
}

function learn(known: Known, { grant, catalog }: JudgeTask): void {
  if (grant !== undefined || catalog !== undefined) known.masks = undefined;
  if (grant !== undefined) known.grant = grant;
  if (catalog !== undefined) known.catalog = new AskedCatalog(catalog);
}

function rangesOfCopied(tree: object, text: string): ReadonlyMap<number, TextRange> {
  const ranges = new Map<number, TextRange>();
  for (const copied of copiedTexts(tree, text)) {
    if (isCopied(copied, parsedOr(copied.text))) ranges.set(copied.index, copied.range);
  }
  return ranges;
}

function parsedOr(text: string): unknown {
  try {
    return treeOf(text);
  } catch (error) {
    if (hasSqlDetails(error)) return undefined;
    throw error;
  }
}

function scannedOr(text: string): readonly ScanToken[] | undefined {
  try {
    return scanSync(text).tokens;
  } catch (error) {
    // The binding takes the scanner's complaint for its answer, which it reads as JSON.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
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
