import { expect, test } from 'vitest';
import { emptyHookAnswer, readHookInput } from '../../src/commands/runs/hook-formats.ts';
import { HOOKS, type HookName } from '../../src/run/agents/hook-names.ts';

const PROMPTS: Readonly<Record<HookName, string | undefined>> = {
  'claude-code': 'UserPromptSubmit',
  codex: 'UserPromptSubmit',
  'qwen-code': 'UserPromptSubmit',
  'gemini-cli': 'BeforeAgent',
  cursor: 'beforeSubmitPrompt',
  opencode: 'chat.message',
  copilot: undefined,
};

test.each(HOOKS)('%s: the prompt is taken, and the agent goes on', (hook) => {
  const input = JSON.stringify({ hook_event_name: PROMPTS[hook], prompt: 'why?', more: 1 });
  expect(readHookInput(hook, input).prompt).toBe('why?');
  expect(['', '{}\n', '{"continue":true}\n']).toContain(emptyHookAnswer(hook));
});

test.each([
  ['claude-code', 'SessionStart'],
  ['claude-code', 'SubagentStart'],
  ['codex', 'SessionStart'],
  ['codex', 'SubagentStart'],
  ['qwen-code', 'SubagentStart'],
  ['gemini-cli', 'SessionStart'],
] as const)('%s is told the briefing at %s', (hook, event) => {
  const { prompt, answer } = readHookInput(hook, JSON.stringify({ hook_event_name: event }));
  expect(prompt).toBeUndefined();
  expect(JSON.parse(answer('the briefing'))).toEqual({
    hookSpecificOutput: { hookEventName: event, additionalContext: 'the briefing' },
  });
});

test('copilot names no events: without a prompt it is told the briefing', () => {
  const { answer } = readHookInput(
    'copilot',
    JSON.stringify({ source: 'new', initialPrompt: 'x' }),
  );
  expect(JSON.parse(answer('the briefing'))).toEqual({ additionalContext: 'the briefing' });
});

test.each(['', 'no JSON', '[]', '{"hook_event_name":"PreToolUse","prompt":"x"}'])(
  'what is no input of a hook is refused: %s',
  (input) => {
    expect(() => readHookInput('claude-code', input)).toThrow('not hook input');
  },
);
