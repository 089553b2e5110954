/** What the stub model says, in what the agents speak: a call of a tool, or a text, as one message or as a stream. */
import type { ServerResponse } from 'node:http';

export type Json = Record<string, unknown>;

export type Reply =
  | {
      readonly type: 'call';
      readonly id: string;
      readonly name: string;
      readonly namespace?: string | undefined;
      readonly input: Json;
    }
  | { readonly type: 'text'; readonly text: string };

export function messages(response: ServerResponse, body: Json, reply: Reply): void {
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

export function completions(response: ServerResponse, body: Json, reply: Reply): void {
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

export function responses(response: ServerResponse, reply: Reply): void {
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

export function gemini(response: ServerResponse, path: string, reply: Reply): void {
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

export function json(response: ServerResponse, body: object): void {
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
