/** The prompt that a run inside a run begins with, asked of the endpoint of the one around. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { promptInForce } from '../../src/commands/runs/prompt-flags.ts';
import { isCut, PromptLineSchema, promptLine } from '../../src/recording/formats/prompt.ts';
import { ContextEndpoint } from '../../src/run/context-endpoint.ts';
import { newPrompt } from '../../src/tunnel/new-prompt.ts';

let opened: AsyncDisposableStack;
beforeEach(() => {
  opened = new AsyncDisposableStack();
});
afterEach(() => opened.disposeAsync());

/** What stands for the next run within one with this prompt. */
async function within(current: ReturnType<typeof newPrompt>, flags: { prompt?: string } = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'hoop-prompt-'));
  opened.defer(() => rm(directory, { recursive: true, force: true }));
  const run = { id: 'outer', agent: 'devin', directory, targets: [] };
  const prompts = { current, set: async () => 0 };
  const endpoint = opened.use(await ContextEndpoint.open({ run, prompts }));
  const io = {
    cwd: directory,
    env: { ...endpoint.environment },
    signal: new AbortController().signal,
    note: () => undefined,
  };
  const words = await promptInForce(io, flags);
  if (words === undefined) {
    throw new Error('there is none');
  }
  return words;
}

test('a short prompt is taken over whole', async () => {
  const outer = newPrompt({ source: 'hook:codex', text: 'drop the test orders — bitte' });
  const line = promptLine(await within(outer));
  expect(line).toMatchObject({ source: 'hook:codex', text: outer.text, parent: outer.id });
  expect(isCut(line)).toBe(false);
});

test('one that is cut stays cut, however deep: with length and digest of the whole', async () => {
  const text = 'ä'.repeat(100_000);
  const outer = newPrompt({ source: 'flag', text });
  const second = await within(outer);
  const third = await within(second);
  for (const [words, parent] of [
    [second, outer.id],
    [third, second.id],
  ] as const) {
    const line = promptLine(words);
    expect(line).toMatchObject({
      parent,
      bytes: 200_000,
      sha256: createHash('sha256').update(text).digest('hex'),
    });
    expect(line.text).toHaveLength(16 * 1024);
    expect(isCut(line)).toBe(true);
    expect(PromptLineSchema.safeParse(line).success).toBe(true);
    // Also where the session has room for no text.
    expect(PromptLineSchema.safeParse(promptLine(words, 0)).success).toBe(true);
  }
});

test('a prompt of its own stands under the one around, and is whole', async () => {
  const outer = newPrompt({ source: 'flag', text: 'x'.repeat(100_000) });
  const own = promptLine(await within(outer, { prompt: 'only this' }));
  expect(own).toMatchObject({ text: 'only this', source: 'flag', parent: outer.id });
  expect(isCut(own)).toBe(false);
});
