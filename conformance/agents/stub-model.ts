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

/** One step of the script: a command for the agent's shell, or a call of a tool by the end of its name. */
export type Step = string | { readonly tool: string; readonly input: Json };
type Json = Record<string, unknown>;

export interface StubModel extends AsyncDisposable {
  readonly port: number;
  /** What came in: the path and the body, for tests that look at what an agent sends. */
  readonly requests: readonly { readonly path: string; readonly body: Json }[];
  /** What the agent gave back of its tools, as JSON: all that a model ever reads of them. */
  readonly results: string;
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

type Reply =
  | {
      readonly type: 'call';
      readonly id: string;
      readonly name: string;
      readonly namespace?: string | undefined;
      readonly input: Json;
    }
  | { readonly type: 'text'; readonly text: string };

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
    messages(response, body, next(steps, anthropicTools(body), anthropicResults(body).length));
  } else if (path.endsWith('/chat/completions')) {
    completions(response, body, next(steps, openaiTools(body), completionsResults(body).length));
  } else if (path.endsWith('/responses')) {
    const waiting = stillRunning(body);
    const results = responsesResults(body).length - polls(body);
    responses(response, waiting ?? next(steps, openaiTools(body), results));
  } else if (/:(streamG|g)enerateContent$/.test(path)) {
    gemini(response, path, next(steps, geminiTools(body), geminiResults(body).length));
  } else if (path.endsWith('/count_tokens') || path.endsWith(':countTokens')) {
    json(response, { input_tokens: 10, totalTokens: 10 });
  } else if (path.endsWith('/models')) {
    json(response, { object: 'list', data: [{ id: 'stub', object: 'model' }], models: [] });
  } else {
    json(response, {});
  }
}

function next(steps: readonly Step[], tools: readonly Tool[], results: number): Reply {
  const step = steps[results];
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

/** Codex leaves a command that takes long in the background, and asks the model to look at it again. */
function stillRunning(body: Json): Reply | undefined {
  const last = objectOf(listOf(body['input']).at(-1));
  const session = /running with session ID (\d+)/.exec(JSON.stringify(last['output'] ?? ''))?.[1];
  const input = { session_id: Number(session), chars: '', yield_time_ms: 30_000 };
  const id = `call_poll_${polls(body)}`;
  return session === undefined ? undefined : { type: 'call', id, name: 'write_stdin', input };
}

function polls(body: Json): number {
  return listOf(body['input']).filter((item) => {
    const { type, call_id: id } = objectOf(item);
    return String(type).endsWith('_call_output') && String(id).startsWith('call_poll_');
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

function messages(response: ServerResponse, body: Json, reply: Reply): void {
  const usage = { input_tokens: 10, output_tokens: 10 };
  const message = {
    id: 'msg_stub',
    type: 'message',
    role: 'assistant',
    model: String(body['model'] ?? 'stub'),
    stop_sequence: null,
  };
  const stop = reply.type === 'call' ? 'tool_use' : 'end_turn';
  const block =
    reply.type === 'call'
      ? { type: 'tool_use', id: reply.id, name: reply.name, input: reply.input }
      : { type: 'text', text: reply.text };
  if (body['stream'] !== true) {
    json(response, { ...message, content: [block], stop_reason: stop, usage });
    return;
  }
  const isCall = reply.type === 'call';
  const events: [string, Json][] = [
    ['message_start', { message: { ...message, content: [], stop_reason: null, usage } }],
    [
      'content_block_start',
      { index: 0, content_block: isCall ? { ...block, input: {} } : { type: 'text', text: '' } },
    ],
    [
      'content_block_delta',
      {
        index: 0,
        delta: isCall
          ? { type: 'input_json_delta', partial_json: JSON.stringify(reply.input) }
          : { type: 'text_delta', text: reply.text },
      },
    ],
    ['content_block_stop', { index: 0 }],
    ['message_delta', { delta: { stop_reason: stop, stop_sequence: null }, usage }],
    ['message_stop', {}],
  ];
  stream(
    response,
    events.map(([type, data]) => ({ type, data: { type, ...data } })),
  );
}

function completions(response: ServerResponse, body: Json, reply: Reply): void {
  const message =
    reply.type === 'call'
      ? {
          role: 'assistant',
          content: null,
          tool_calls: [
            {
              index: 0,
              id: reply.id,
              type: 'function',
              function: { name: reply.name, arguments: JSON.stringify(reply.input) },
            },
          ],
        }
      : { role: 'assistant', content: reply.text };
  const reason = reply.type === 'call' ? 'tool_calls' : 'stop';
  const usage = { prompt_tokens: 10, completion_tokens: 10, total_tokens: 20 };
  const common = { id: 'chatcmpl-stub', created: 1, model: String(body['model'] ?? 'stub') };
  if (body['stream'] !== true) {
    const choices = [{ index: 0, message, finish_reason: reason }];
    json(response, { ...common, object: 'chat.completion', choices, usage });
    return;
  }
  const chunk = (choices: Json[], more: Json = {}) => ({
    data: { ...common, object: 'chat.completion.chunk', choices, ...more },
  });
  stream(response, [
    chunk([{ index: 0, delta: message, finish_reason: null }]),
    chunk([{ index: 0, delta: {}, finish_reason: reason }]),
    chunk([], { usage }),
    { data: '[DONE]' },
  ]);
}

function responses(response: ServerResponse, reply: Reply): void {
  const item =
    reply.type === 'call'
      ? {
          type: 'function_call',
          id: `fc_${reply.id}`,
          call_id: reply.id,
          name: reply.name,
          // In JSON it is not there when there is none.
          namespace: reply.namespace,
          arguments: JSON.stringify(reply.input),
          status: 'completed',
        }
      : {
          type: 'message',
          id: 'msg_stub',
          role: 'assistant',
          status: 'completed',
          content: [{ type: 'output_text', text: reply.text, annotations: [] }],
        };
  const usage = {
    input_tokens: 10,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: 10,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 20,
  };
  const whole = { id: 'resp_stub', object: 'response', model: 'stub', created_at: 1 };
  const added = {
    ...item,
    status: 'in_progress',
    ...(reply.type === 'text' ? { content: [] } : { arguments: '' }),
  };
  const text: [string, Json][] =
    reply.type === 'text'
      ? [
          [
            'response.content_part.added',
            {
              item_id: 'msg_stub',
              content_index: 0,
              part: { type: 'output_text', text: '', annotations: [] },
            },
          ],
          [
            'response.output_text.delta',
            { item_id: 'msg_stub', content_index: 0, delta: reply.text },
          ],
          [
            'response.output_text.done',
            { item_id: 'msg_stub', content_index: 0, text: reply.text },
          ],
        ]
      : [
          [
            'response.function_call_arguments.delta',
            { item_id: `fc_${reply.id}`, delta: JSON.stringify(reply.input) },
          ],
          [
            'response.function_call_arguments.done',
            { item_id: `fc_${reply.id}`, arguments: JSON.stringify(reply.input) },
          ],
        ];
  const events: [string, Json][] = [
    ['response.created', { response: { ...whole, status: 'in_progress', output: [] } }],
    ['response.output_item.added', { output_index: 0, item: added }],
    ...text.map(([type, data]): [string, Json] => [type, { output_index: 0, ...data }]),
    ['response.output_item.done', { output_index: 0, item }],
    ['response.completed', { response: { ...whole, status: 'completed', output: [item], usage } }],
  ];
  stream(
    response,
    events.map(([type, data], sequence) => ({
      type,
      data: { type, sequence_number: sequence, ...data },
    })),
  );
}

function gemini(response: ServerResponse, path: string, reply: Reply): void {
  const part =
    reply.type === 'call'
      ? { functionCall: { id: reply.id, name: reply.name, args: reply.input } }
      : { text: reply.text };
  const whole = {
    candidates: [{ index: 0, content: { role: 'model', parts: [part] }, finishReason: 'STOP' }],
    usageMetadata: { promptTokenCount: 10, candidatesTokenCount: 10, totalTokenCount: 20 },
    modelVersion: 'stub',
  };
  if (path.endsWith(':generateContent')) {
    json(response, whole);
  } else {
    stream(response, [{ data: whole }]);
  }
}

function json(response: ServerResponse, body: object): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function stream(
  response: ServerResponse,
  events: readonly { readonly type?: string; readonly data: unknown }[],
): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  for (const { type, data } of events) {
    const name = type === undefined ? '' : `event: ${type}\n`;
    response.write(`${name}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);
  }
  response.end();
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
