import { expect, test } from 'vitest';
import type { PromptLine, PromptWords } from '../../src/recording/prompt.ts';
import { ClientPrompts } from '../../src/tunnel/client-prompts.ts';
import { newPrompt } from '../../src/tunnel/new-prompt.ts';

const signal = AbortSignal.timeout(60_000);

/** A gateway that records what it is told, when it is told to. */
function opened(isOpen = true) {
  const order: string[] = [];
  const lines: PromptLine[] = [];
  let up = 0;
  const prompts = new ClientPrompts({
    recording: {
      data: () => order.push('data'),
      flush: () => order.push('flush'),
    },
    send: (bytes) => {
      order.push('send');
      up += bytes.length;
      lines.push(JSON.parse(Buffer.from(bytes).toString()));
      return isOpen;
    },
  });
  const record = () => prompts.recorded([{ stream: 0, up }]);
  const set = async (words: PromptWords) => {
    const done = prompts.set(words, signal);
    record();
    await done;
  };
  return { prompts, order, lines, record, set, sent: () => up };
}

const words = (text: string) => newPrompt({ source: 'flag', text });

test('a prompt is in our recording before it leaves, and set when the gateway has it', async () => {
  const { prompts, order, sent } = opened();
  let isSet = false;
  const done = prompts.set(words('a'), signal).then(() => {
    isSet = true;
  });
  expect(order).toEqual(['data', 'flush', 'send']);
  prompts.recorded([{ stream: 1, up: 1_000_000 }]);
  prompts.recorded([{ stream: 0, up: sent() - 1 }]);
  await Promise.resolve();
  expect(isSet).toBe(false);
  prompts.recorded([{ stream: 0, up: sent() }]);
  await done;
});

test('the same prompt is sent once, whoever sets it', async () => {
  const { prompts, lines, record } = opened();
  const one = words('a');
  const both = Promise.all([prompts.set(one, signal), prompts.set(one, signal)]);
  record();
  await both;
  expect(lines).toHaveLength(1);
});

test('who waits is told when the session ends, and nothing is sent after', async () => {
  const { prompts, lines } = opened();
  const waiting = prompts.set(words('a'), signal);
  prompts.close('the session was revoked');
  await expect(waiting).rejects.toMatchObject({ code: 'HOOP_SESSION_ENDED' });
  await expect(prompts.set(words('b'), signal)).rejects.toThrow('revoked');
  expect(lines).toHaveLength(1);
  const gone = opened(false);
  await expect(gone.prompts.set(words('a'), signal)).rejects.toMatchObject({
    code: 'HOOP_SESSION_ENDED',
  });
});

test('a session has room for the text of some, for the digests of many, and then says so', async () => {
  const { lines, set, sent } = opened();
  const long = 'x'.repeat(40_000);
  let error: unknown;
  while (error === undefined) {
    const text = lines.length < 80 ? long : 'a short one';
    await set(words(text)).catch((caught: unknown) => {
      error = caught;
    });
  }
  expect(error).toMatchObject({ code: 'HOOP_LIMIT' });
  expect(lines[0]?.text).toHaveLength(32 * 1024);
  expect(lines.at(-1)).toMatchObject({ text: '', bytes: 11 });
  expect(lines.length).toBeGreaterThan(1000);
  // What the gateway allows, counted as it counts.
  expect(sent() + 256 * lines.length).toBeLessThanOrEqual(4 << 20);
});
