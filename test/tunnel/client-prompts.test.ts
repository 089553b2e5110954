import { hash } from 'node:crypto';
import { expect, test } from 'vitest';
import { SessionPrompts } from '../../src/gateway/sessions/session-prompts.ts';
import { redactedText } from '../../src/masking/redacted-text.ts';
import {
  type PromptLine,
  type PromptWords,
  promptLine,
} from '../../src/recording/formats/prompt.ts';
import { ClientPrompts } from '../../src/tunnel/client-prompts.ts';
import { newPrompt } from '../../src/tunnel/new-prompt.ts';

const signal = new AbortController().signal;

/** A gateway that records what it is told, when it is told to. */
function opened(isOpen = true, detectors: readonly string[] = []) {
  const order: string[] = [];
  const lines: PromptLine[] = [];
  let up = 0;
  const prompts = new ClientPrompts({
    detectors,
    recording: {
      data: () => order.push('data'),
      turns: { flush: () => order.push('flush') },
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
  expect(lines.at(-2)).toMatchObject({ text: '', bytes: 11 });
  expect(lines.length).toBeGreaterThan(1000);
  // What the gateway allows, counted as it counts.
  expect(sent() + 256 * lines.length).toBeLessThanOrEqual(4 << 20);
});

/** Long until there is no room for the text of any; then the digest of a short one takes as much. */
function textAfter(count: number): string {
  return count < 80 ? 'x'.repeat(30_000) : 'a short one';
}

test('a prompt that has no room leaves none in force, not the one before it', async () => {
  const { prompts, lines, record, set, sent } = opened();
  const gateway = new SessionPrompts();
  let read = 0;
  const inForce = () => {
    for (const line of lines.slice(read)) {
      gateway.received(Buffer.from(`${JSON.stringify(line)}\n`));
    }
    read = lines.length;
    return gateway.current;
  };
  const refused = async (text: string) => {
    const done = prompts.set(words(text), signal);
    record();
    return done.then(
      () => undefined,
      (error: unknown) => error,
    );
  };
  let last = words('the first');
  await set(last);
  let error: unknown;
  while (error === undefined) {
    expect(inForce()?.id).toBe(last.id);
    last = words(textAfter(lines.length));
    error = await refused(last.text);
    last = { ...last, id: lines.at(-1)?.id ?? '' };
  }
  expect(error).toMatchObject({ code: 'HOOP_LIMIT' });
  expect(inForce()).toMatchObject({ id: 'limit', source: 'limit', text: '', bytes: 0 });
  // Said once, and within what the gateway allows.
  const bytes = sent();
  expect(await refused('one more')).toMatchObject({ code: 'HOOP_LIMIT' });
  expect(sent()).toBe(bytes);
  expect(bytes + 256 * lines.length).toBeLessThanOrEqual(4 << 20);
});

test('a prompt that has no room is refused only when the gateway knows that none is in force', async () => {
  const { prompts, lines, record, set } = opened();
  const fill = async (): Promise<void> => {
    for (;;) {
      const done = prompts.set(words(textAfter(lines.length)), signal);
      if (lines.at(-1)?.id === 'limit') {
        let isRefused = false;
        const refused = done.catch(() => {
          isRefused = true;
        });
        await Promise.resolve();
        expect(isRefused).toBe(false);
        record();
        await refused;
        expect(isRefused).toBe(true);
        return;
      }
      record();
      await done;
    }
  };
  await set(words('a'));
  await fill();
});

test('what the detectors of the policy find is not sent; length and digest are of what is', async () => {
  const { lines, set } = opened(true, ['url-password', 'card', 'of a later version']);
  await set(
    words('use postgres://app:hunter22@db/x and 4111 1111 1111 1111, mail ann@acme.example'),
  );
  const text = 'use postgres://app:[url-password]@db/x and [card], mail ann@acme.example';
  expect(lines[0]).toMatchObject({ text, bytes: text.length, sha256: hash('sha256', text) });
});

test('half a secret at the end of what is only the beginning is not sent', async () => {
  const { lines, set } = opened(true, ['vcs-token']);
  const whole = { bytes: 90_000, sha256: hash('sha256', 'all of it') };
  await set({ ...words(`push it with ghp_${'x'.repeat(29)}`), whole });
  expect(lines[0]).toMatchObject({ text: 'push it with ', ...whole });
  // What is there to its end keeps its last word.
  await set(words('push it with care'));
  expect(lines[1]).toMatchObject({ text: 'push it with care' });
});

test('a client that sends it all the same does not have it shown to approvers', () => {
  const gateway = new SessionPrompts((text) => redactedText(text, ['url-password']));
  const line = promptLine({ ...words('postgres://app:hunter22@db/x'), sentMs: 1 });
  expect(gateway.received(Buffer.from(`${JSON.stringify(line)}\n`))).toBe(true);
  expect(gateway.current?.text).toBe('postgres://app:[url-password]@db/x');
  // As it was sent: the recording has it, and its digest says so.
  expect(gateway.current?.sha256).toBe(line.sha256);
});
