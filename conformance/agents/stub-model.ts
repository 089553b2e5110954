/**
 * A model on loopback that plays a script: it asks for one tool call after the other and ends with a
 * text. It speaks what the agents speak: Anthropic Messages, OpenAI Chat Completions and Responses,
 * and the Gemini API. What it plays next follows from the conversation alone (how many results of
 * tools it holds), so that agents may ask twice.
 *
 *     node conformance/agents/stub-model.ts --port 0 "psql -c 'select 1'"
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import {
  completions,
  gemini,
  type Json,
  json,
  messages,
  type Reply,
  responses,
} from './stub-replies.ts';

/** A command for the agent's shell, or a call of a tool by the end of its name. */
export type Call = string | { readonly tool: string; readonly input: Json };
/** One step of the script, and what the model thinks about until then. */
export type Step = Call | { readonly after: Promise<unknown>; readonly call: Call };

export interface StubModel extends AsyncDisposable {
  readonly port: number;
  /** What came in: the path and the body, for tests that look at what an agent sends. */
  readonly requests: readonly { readonly path: string; readonly body: Json }[];
  /** What the agent gave back of its tools, as JSON: all that a model ever reads of them. */
  readonly results: string;
  /** The same of the longest conversation, each for itself. */
  readonly answers: readonly string[];
}

export async function openStubModel(steps: readonly Step[], port = 0): Promise<StubModel> {
  const requests: { path: string; body: Json }[] = [];
  const server: Server = createServer((request, response) => {
    answer(request, response, steps, requests).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined);
    });
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    requests,
    get results() {
      return JSON.stringify(requests.map(({ body }) => resultsIn(body)));
    },
    get answers() {
      const lists = requests.map(({ body }) => resultsIn(body));
      const longest = lists.reduce((most, list) => (list.length > most.length ? list : most), []);
      return longest.map((result) => JSON.stringify(result));
    },
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

interface Tool {
  readonly name: string;
  /** Of Codex: the server that the tool is of, named apart. */
  readonly namespace?: string;
  readonly schema: Json;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  steps: readonly Step[],
  requests: { path: string; body: Json }[],
): Promise<void> {
  const path = new URL(request.url ?? '/', 'http://stub').pathname;
  const said = await text(request);
  const body = objectOf(said === '' ? {} : JSON.parse(said));
  requests.push({ path, body });
  if (path.endsWith('/messages')) {
    messages(
      response,
      body,
      await next(steps, anthropicTools(body), anthropicResults(body).length),
    );
  } else if (path.endsWith('/chat/completions')) {
    const results = completionsResults(body);
    completions(
      response,
      body,
      stillRunning(results) ?? (await next(steps, openaiTools(body), ofSteps(results))),
    );
  } else if (path.endsWith('/responses')) {
    const results = responsesResults(body);
    responses(
      response,
      stillRunning(results) ?? (await next(steps, openaiTools(body), ofSteps(results))),
    );
  } else if (/:(streamG|g)enerateContent$/.test(path)) {
    gemini(response, path, await next(steps, geminiTools(body), geminiResults(body).length));
  } else if (path.endsWith('/count_tokens') || path.endsWith(':countTokens')) {
    json(response, { input_tokens: 10, totalTokens: 10 });
  } else if (path.endsWith('/models')) {
    json(response, { object: 'list', data: [{ id: 'stub', object: 'model' }], models: [] });
  } else {
    json(response, {});
  }
}

async function next(
  steps: readonly Step[],
  tools: readonly Tool[],
  results: number,
): Promise<Reply> {
  const step = await callOf(tools.length === 0 ? undefined : steps[results]);
  if (step === undefined || tools.length === 0) {
    return { type: 'text', text: tools.length === 0 ? 'stub' : 'STUB DONE' };
  }
  const wanted =
    typeof step === 'string'
      ? /^(bash|shell|exec_command|run_shell_command|shell_command|local_shell)$/i
      : undefined;
  const tool = tools.find(({ name }) =>
    typeof step === 'string' ? wanted?.test(name) : name.endsWith(step.tool),
  );
  if (tool === undefined) {
    return {
      type: 'text',
      text: `STUB HAS NO TOOL among ${tools.map(({ name }) => name).join(' ')}`,
    };
  }
  const input = typeof step === 'string' ? shellInput(tool, step) : step.input;
  const { name, namespace } = tool;
  return { type: 'call', id: `call_stub_${results}`, name, namespace, input };
}

async function callOf(step: Step | undefined): Promise<Call | undefined> {
  if (typeof step !== 'object' || !('after' in step)) {
    return step;
  }
  await step.after;
  return step.call;
}

/** What the tool's own schema demands, with the command in the place that it has for it. */
function shellInput({ schema }: Tool, command: string): Json {
  const properties = objectOf(schema['properties']);
  const key = 'cmd' in properties ? 'cmd' : 'command';
  const isList = objectOf(properties[key])['type'] === 'array';
  const required = listOf(schema['required']).filter((name) => name !== key);
  return {
    ...Object.fromEntries(
      required.map((name) => {
        const type = objectOf(properties[String(name)])['type'];
        return [
          name,
          type === 'boolean' ? false : type === 'number' || type === 'integer' ? 60_000 : 'stub',
        ];
      }),
    ),
    [key]: isList ? ['bash', '-c', command] : command,
  };
}

function anthropicTools(body: Json): Tool[] {
  return listOf(body['tools']).map((tool) => ({
    name: String(objectOf(tool)['name']),
    schema: objectOf(objectOf(tool)['input_schema']),
  }));
}

/** Whichever of the protocols it is in. */
function resultsIn(body: Json): unknown[] {
  return [anthropicResults, completionsResults, responsesResults, geminiResults].flatMap((list) =>
    list(body),
  );
}

function anthropicResults(body: Json): unknown[] {
  return listOf(body['messages'])
    .flatMap((message) => listOf(objectOf(message)['content']))
    .filter((part) => objectOf(part)['type'] === 'tool_result');
}

function openaiTools(body: Json): Tool[] {
  return listOf(body['tools']).flatMap((tool): Tool[] => {
    const { function: inner, ...outer } = objectOf(tool);
    const found = inner === undefined ? outer : objectOf(inner);
    const name = String(found['name']);
    return found['type'] === 'namespace'
      ? openaiTools(found).map((one) => ({ ...one, namespace: name }))
      : [{ name, schema: objectOf(found['parameters']) }];
  });
}

function completionsResults(body: Json): unknown[] {
  return listOf(body['messages']).filter((message) => objectOf(message)['role'] === 'tool');
}

function responsesResults(body: Json): unknown[] {
  return listOf(body['input']).filter((item) =>
    String(objectOf(item)['type']).endsWith('_call_output'),
  );
}

const POLL = 'call_poll_';

/**
 * Codex and Copilot leave a command that takes long in the background, and ask the model to look at it
 * again.
 * @param results of tools, as the conversation holds them
 */
function stillRunning(results: readonly unknown[]): Reply | undefined {
  const last = JSON.stringify(results.at(-1) ?? '');
  const id = `${POLL}${results.length - ofSteps(results)}`;
  const session = /running with session ID (\d+)/.exec(last)?.[1];
  if (session !== undefined) {
    const input = { session_id: Number(session), chars: '', yield_time_ms: 30_000 };
    return { type: 'call', id, name: 'write_stdin', input };
  }
  const shellId = /shellId: (\w+) is still running/.exec(last)?.[1];
  return shellId === undefined
    ? undefined
    : { type: 'call', id, name: 'read_bash', input: { shellId, delay: 30 } };
}

/** How many of them are of the script. */
function ofSteps(results: readonly unknown[]): number {
  return results.filter((result) => {
    const { call_id: responses, tool_call_id: completions } = objectOf(result);
    return !String(responses ?? completions).startsWith(POLL);
  }).length;
}

function geminiTools(body: Json): Tool[] {
  return listOf(body['tools'])
    .flatMap((tool) => listOf(objectOf(tool)['functionDeclarations']))
    .map((tool) => {
      const { name, parameters, parametersJsonSchema } = objectOf(tool);
      return { name: String(name), schema: objectOf(parametersJsonSchema ?? parameters) };
    });
}

function geminiResults(body: Json): unknown[] {
  return listOf(body['contents'])
    .flatMap((content) => listOf(objectOf(content)['parts']))
    .filter((part) => 'functionResponse' in objectOf(part));
}

function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

if (import.meta.main) {
  const words = process.argv.slice(2);
  const port = words[0] === '--port' ? Number(words.splice(0, 2)[1]) : 0;
  const { port: taken } = await openStubModel(words, port);
  process.stdout.write(`${taken}\n`);
}
