/**
 * A server of the Model Context Protocol over the databases of one run. Everything goes through hoop
 * as from any client: decided, masked, held, recorded. Denied and held are results, since a model
 * reads results; faults of the protocol it does not see.
 */
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js';
import type {
  CallToolResult,
  ServerNotification,
  ServerRequest,
} from '@modelcontextprotocol/sdk/types.js';
import * as z from 'zod';
import type { Approval } from '../api/approvals.ts';
import { HoopError } from '../errors.ts';
import { type Bounded, boundedQuery } from './bounded-query.ts';
import { COLUMNS, TABLES } from './catalog-queries.ts';
import type { McpAccess, McpTarget } from './mcp-access.ts';
import { asked, type Refused, refusedBy, shortText } from './refused.ts';

type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

const INSTRUCTIONS = `These tools work on PostgreSQL databases through hoop, which decides each statement, masks columns and records everything.
A result with status "denied" names the rule and what to do; rewording the same statement does not help.
A result with status "held" waits for a person: tell the user the ID of the request, call "approval" with it, and once it says approved call "query" again with exactly the same sql and parameters. It then runs once.
Each call has its own connection and its own transaction.`;

const MAX_ROWS = 1000;
const DEFAULT_ROWS = 200;
/** Clients give a tool 60 s where nothing else is set. */
const DEFAULT_WAIT_SECONDS = 45;
const MAX_WAIT_SECONDS = 3600;
/** Clients that count progress as life begin to count anew with each. */
const PROGRESS_EVERY_MS = 5000;
const MAX_TEXT = 1_000_000;
/** A server says as much as a function of somebody's likes. */
const MAX_NOTICES = 20;

const target = z.string().optional().describe('name of the database; default: the only one');
const waitSeconds = z
  .number()
  .int()
  .min(0)
  .max(MAX_WAIT_SECONDS)
  .default(DEFAULT_WAIT_SECONDS)
  .describe('how long to wait for approval before returning "held"');
const parameters = z
  .array(z.union([z.string(), z.number(), z.boolean(), z.null()]))
  .default([])
  .describe('values of $1, $2, …');
const cell = z.union([z.string(), z.number(), z.boolean(), z.null()]);

/** Refuses other arguments by name: a model that guesses one would take the answer for its own. */
function only<Shape extends z.ZodRawShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `There is no argument ${issue.keys.map((key) => JSON.stringify(key.slice(0, 50))).join(', ')}. The arguments are: ${Object.keys(shape).join(', ')}.`
        : undefined,
  });
}

/** Clients hold errors to it as well: of each status there is what it has. */
const QUERY_OUTPUT = {
  status: z.enum(['ok', 'denied', 'held', 'error']),
  columns: z.array(z.object({ name: z.string(), type: z.string() })).optional(),
  rows: z.array(z.array(cell)).optional(),
  tag: z.string().optional().describe('e.g. UPDATE 3'),
  cut: z.array(z.string()).optional().describe('what was left out'),
  notices: z.array(z.string()).optional(),
  message: z.string().optional(),
  code: z.string().optional().describe('of hoop, e.g. HOOP_DENIED'),
  sqlState: z.string().optional(),
  rule: z.string().optional().describe('of the policy'),
  request: z.string().optional().describe('ID of a request for approval'),
  detail: z.string().optional(),
  hint: z.string().optional().describe('what to do'),
  position: z.number().optional().describe('in the statement'),
};

/** @param access resolves when the run has begun, which the first call waits for */
export function createMcpServer(access: () => Promise<McpAccess>, version: string): McpServer {
  const server = new McpServer({ name: 'hoop', version }, { instructions: INSTRUCTIONS });

  server.registerTool(
    'query',
    {
      title: 'Run one SQL statement',
      description: `Runs one SQL statement. Returns the first rows (${DEFAULT_ROWS} unless max_rows is set); "cut" says if there were more. Masked columns are returned masked.`,
      inputSchema: only({
        sql: z.string().max(MAX_TEXT).describe('one statement, with $1, $2, … for values'),
        parameters,
        target,
        max_rows: z.number().int().min(1).max(MAX_ROWS).default(DEFAULT_ROWS),
        wait_seconds: waitSeconds,
      }),
      outputSchema: QUERY_OUTPUT,
    },
    (input, extra) =>
      answered(extra, async () => {
        const all = await access();
        const database = targetOf(all, input.target);
        const request = { ...input, maxRows: input.max_rows, waitSeconds: input.wait_seconds };
        const { result, notices } = await held(all, database, request, extra);
        return { status: 'ok', ...result, notices };
      }),
  );

  server.registerTool(
    'describe',
    {
      title: 'Show tables, or the columns of one',
      description:
        'Without "table": the tables and views, and the available databases. With it: its columns, and which of them are masked.',
      inputSchema: only({ target, schema: z.string().optional(), table: z.string().optional() }),
      annotations: { readOnlyHint: true },
    },
    (input, extra) =>
      answered(extra, async () => {
        const all = await access();
        const { schema = null, table } = input;
        const database = targetOf(all, input.target);
        const sql = table === undefined ? TABLES : COLUMNS;
        const values = table === undefined ? [schema] : [schema, table];
        const request = { sql, parameters: values, maxRows: MAX_ROWS, waitSeconds: 0 };
        const { result } = await held(all, database, request, extra);
        const listed = result.rows.map((row) => named(result.columns, row));
        if (table === undefined) {
          return { status: 'ok', targets: shownTargets(all), tables: listed, cut: result.cut };
        }
        const columns = listed.map((column) => ({ ...column, ...maskOf(database, column) }));
        return { status: 'ok', columns, cut: result.cut };
      }),
  );

  server.registerTool(
    'explain',
    {
      title: 'Show the plan of a statement',
      description: 'EXPLAIN without ANALYZE: the statement does not run.',
      inputSchema: only({ sql: z.string().max(MAX_TEXT), parameters, target }),
      annotations: { readOnlyHint: true },
    },
    (input, extra) =>
      answered(extra, async () => {
        const all = await access();
        const database = targetOf(all, input.target);
        // With options in parentheses the server takes no ANALYZE, in whatever form it comes.
        const sql = `EXPLAIN (COSTS true)\n${input.sql}`;
        const request = { ...input, sql, maxRows: MAX_ROWS, waitSeconds: DEFAULT_WAIT_SECONDS };
        const { result } = await held(all, database, request, extra);
        return { status: 'ok', plan: result.rows.map(([line]) => String(line)), cut: result.cut };
      }),
  );

  server.registerTool(
    'masks',
    {
      title: 'Show which columns are masked',
      description:
        'The columns that are returned masked, how, and whether statements may filter by them.',
      inputSchema: only({ target }),
      annotations: { readOnlyHint: true },
    },
    (input, extra) =>
      answered(extra, async () => {
        const { name, masked } = targetOf(await access(), input.target);
        if (masked === undefined) throw behindFence();
        return { status: 'ok', target: name, masked };
      }),
  );

  server.registerTool(
    'approval',
    {
      title: 'Check the status of a held statement',
      description:
        'Returns the status of a request for approval, by the ID from "query". Waits up to wait_seconds for the decision. It does not approve anything.',
      inputSchema: only({ request: z.string().max(64), wait_seconds: waitSeconds }),
      annotations: { readOnlyHint: true },
    },
    (input, extra) =>
      answered(extra, async () => {
        const all = await access();
        const request = input.request.trim().toLowerCase();
        using progress = new Progress(extra);
        progress.say(`request ${request} is waiting for a person`);
        const over = AbortSignal.timeout(input.wait_seconds * 1000);
        const approval = await all
          .decided(request, AbortSignal.any([extra.signal, over]))
          .catch((error: unknown) => {
            if (!over.aborted || extra.signal.aborted) throw error;
            return all.approval(request, extra.signal);
          });
        return { status: 'ok', ...shownApproval(approval) };
      }),
  );

  return server;
}

interface Held {
  readonly sql: string;
  readonly parameters: readonly (string | number | boolean | null)[];
  readonly maxRows: number;
  readonly waitSeconds: number;
}

/** Runs it; what waits for a person longer than the client would is given up, and its request stays. */
async function held(
  { approval }: Pick<McpAccess, 'approval'>,
  { url }: McpTarget,
  request: Held,
  extra: Extra,
): Promise<{ readonly result: Bounded; readonly notices: readonly string[] }> {
  const { sql, maxRows, waitSeconds: seconds } = request;
  using progress = new Progress(extra);
  const gaveUp = new AbortController();
  const notices: string[] = [];
  const isWaiting = async (id: string | undefined): Promise<boolean> => {
    try {
      return id === undefined || (await approval(id, extra.signal)).state === 'waiting';
    } catch {
      // Behind a fence nobody can say.
      return true;
    }
  };
  let timer: NodeJS.Timeout | undefined;
  try {
    const result = await boundedQuery({
      url,
      sql,
      parameters: request.parameters.map((value) => (value === null ? null : String(value))),
      maxRows,
      signal: AbortSignal.any([extra.signal, gaveUp.signal]),
      onNotice: ({ message = '', detail, hint, routine }) => {
        if (routine !== 'HOOP_APPROVAL_PENDING') {
          const text = [message, detail, hint].filter(Boolean).join(' ');
          if (notices.length < MAX_NOTICES) notices.push(shortText(text));
          return;
        }
        progress.say(message);
        const refused = heldRefusal(message, detail);
        const giveUp = (): void => gaveUp.abort(new RefusedError(refused));
        clearTimeout(timer);
        timer = setTimeout(() => {
          // Approved meanwhile it runs: dropped now, nobody would know whether it did.
          void isWaiting(refused.request).then((waits) => waits && giveUp());
        }, seconds * 1000);
      },
    });
    return { result, notices };
  } finally {
    clearTimeout(timer);
  }
}

class RefusedError extends Error {
  readonly refused: Refused;

  constructor(refused: Refused) {
    super(refused.message);
    this.refused = refused;
  }
}

function heldRefusal(message: string, detail: string | undefined): Refused {
  const named = asked(`${message} ${detail ?? ''}`);
  return {
    status: 'held',
    code: 'HOOP_APPROVAL_PENDING',
    message: message.replace(/ \[[^\]]*\]$/s, ''),
    ...named,
    detail,
    hint: `Tell the user that somebody has to run: hoop approvals approve ${named.request}. Call "approval" with this request; once it is approved, call "query" again with exactly the same sql and parameters.`,
  };
}

/** A result, whatever comes: only a cancel of the client is none. */
async function answered(
  extra: Extra,
  work: () => Promise<Record<string, unknown>>,
): Promise<CallToolResult> {
  try {
    return asResult(await work(), false);
  } catch (error) {
    extra.signal.throwIfAborted();
    const refused = error instanceof RefusedError ? error.refused : refusedBy(error);
    if (refused === undefined) throw error;
    return asResult({ ...refused }, true);
  }
}

/** As text as well, for clients that know no structured content. */
function asResult(content: Record<string, unknown>, isError: boolean): CallToolResult {
  const structuredContent: Record<string, unknown> = JSON.parse(JSON.stringify(content));
  const text = JSON.stringify(structuredContent);
  return { content: [{ type: 'text', text }], structuredContent, isError };
}

/** Says every few seconds that it goes on, where the client wants to know. */
class Progress implements Disposable {
  readonly #extra: Extra;
  #count = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(extra: Extra) {
    this.#extra = extra;
  }

  say(message: string): void {
    clearInterval(this.#timer);
    this.#send(message);
    this.#timer = setInterval(() => this.#send(message), PROGRESS_EVERY_MS);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #send(message: string): void {
    const { _meta, sendNotification } = this.#extra;
    const progressToken = _meta?.progressToken;
    if (progressToken === undefined) return;
    this.#count += 1;
    const params = { progressToken, progress: this.#count, message };
    // A client that has gone is noticed by its stdin.
    sendNotification({ method: 'notifications/progress', params }).catch(() => undefined);
  }
}

/** @throws HoopError HOOP_USAGE */
function targetOf({ targets, main }: McpAccess, name: string | undefined): McpTarget {
  const only = targets.length === 1 ? targets[0]?.name : undefined;
  const wanted = name ?? main ?? only;
  const found = targets.find((one) => one.name === wanted);
  if (found === undefined) {
    const names = targets.map((one) => one.name).join(', ') || 'none';
    throw new HoopError(
      'HOOP_USAGE',
      wanted === undefined ? 'several databases and none named' : `no database "${wanted}" here`,
      { hint: `Name one of these as target: ${names}.` },
    );
  }
  return found;
}

function shownTargets({ targets }: McpAccess): readonly unknown[] {
  return targets.map(({ name, description }) => ({ name, description }));
}

function named(columns: Bounded['columns'], row: Bounded['rows'][number]) {
  return Object.fromEntries(columns.map(({ name }, at) => [name, row[at] ?? null]));
}

function maskOf({ masked }: McpTarget, { schema, relation, name }: Record<string, unknown>) {
  const mask = masked?.find(({ column }) => column === `${schema}.${relation}.${name}`);
  return mask === undefined ? {} : { mask: mask.mask, inference: mask.inference };
}

function shownApproval(approval: Approval): Record<string, unknown> {
  const { id, state, outcome, waitsUntil, usableUntil, needs, votes } = approval;
  return {
    request: id,
    state,
    outcome,
    waitsUntil,
    usableUntil,
    rules: needs.map(({ rule }) => rule),
    needs: needs.map(({ groups, count, approvedBy }) => ({ groups, count, approvedBy })),
    votes: votes.map(({ by, decision, reason }) => ({ by: by.name, decision, reason })),
    next: NEXT[state],
  };
}

const NEXT: Record<Approval['state'], string> = {
  waiting:
    'It is still waiting. Call "approval" again, or tell the user and continue with something else.',
  approved: 'Call "query" again with exactly the same sql and parameters. It runs once.',
  used: 'It was sent to the database. If its result is lost, check what it did before you send it again.',
  denied: 'Do not send it again. Tell the user who denied it, and why.',
  expired: 'Nobody decided in time. Send it again if it is still needed.',
  withdrawn: 'It was withdrawn.',
  void: 'Something that it depended on has changed. Send it again to make a new request.',
};

export function behindFence(): HoopError {
  return new HoopError('HOOP_FENCE', 'the gateway cannot be reached from inside a fence', {
    hint: 'The file that HOOP_BRIEFING names lists what is masked; send a held statement again to see its status.',
  });
}
