import { expect, test } from 'vitest';
import { limitLine, type PromptLine, promptLine } from '../../src/recording/formats/prompt.ts';
import type { Prompt } from '../../src/replay/timeline.ts';
import { promptHead, promptLines } from '../../src/ui/prompt-lines.ts';
import { styleFor } from '../../src/ui/text/style.ts';

const options = { style: styleFor(false), width: undefined };

function shown(line: PromptLine): string[] {
  const prompt: Prompt = { ...line, timeMs: 1, isCut: false, parent: undefined };
  return [promptHead(prompt), ...promptLines(prompt, options)];
}

test('a prompt is shown as a claim', () => {
  expect(shown(promptLine({ id: 'p1', source: 'flag', text: 'why\u001b[2J', sentMs: 1 }))).toEqual([
    'prompt p1 from --prompt, as the client says',
    'why⟪U+001B⟫[2J',
  ]);
});

test.each([
  ['file', '--prompt-file'],
  ['command', '`hoop prompt`'],
  ['hook:claude-code', 'hook:claude-code'],
  ['constructor', 'constructor'],
])('where it comes from is named as it is typed: %s', (source, name) => {
  expect(shown(promptLine({ id: 'p1', source, text: 'x', sentMs: 1 }))[0]).toBe(
    `prompt p1 from ${name}, as the client says`,
  );
});

test('after the last prompt that had room there is none, and it says why', () => {
  expect(shown(limitLine(1))).toEqual([
    'no prompt recorded, limit reached: a session has no room for more',
  ]);
});

test('a client that calls its prompt that hides nothing', () => {
  const line = promptLine({ id: 'limit', source: 'limit', text: 'delete all', sentMs: 1 });
  expect(shown(line)).toEqual(['prompt limit from limit, as the client says', 'delete all']);
});
