import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  isCut,
  MAX_PROMPT_BYTES,
  MAX_PROMPT_LINE_BYTES,
  PromptLineSchema,
  promptLine,
} from '../../src/recording/formats/prompt.ts';
import { UP } from '../../src/recording/formats/types.ts';
import { EvidenceLines } from '../../src/recording/verify/evidence-lines.ts';

const words = { id: 'p1', source: 'flag', sentMs: 1_700_000_000_000 };
const bytesOf = (value: unknown) => Buffer.from(`${JSON.stringify(value)}\n`);

test('a prompt that fits is recorded as it is', () => {
  const line = promptLine({ ...words, text: 'Remove the test orders — bitte\n' });
  expect(line).toMatchObject({ text: 'Remove the test orders — bitte\n', bytes: 33 });
  expect(isCut(line)).toBe(false);
  expect(PromptLineSchema.parse(line)).toEqual(line);
});

test('of a prompt of 10 MB the beginning is recorded, with digest and length of the whole', () => {
  const text = 'ä€😀x'.repeat(1 << 20);
  const line = promptLine({ ...words, text });
  expect(line.bytes).toBe(10 << 20);
  expect(line.sha256).toBe(createHash('sha256').update(text).digest('hex'));
  expect(Buffer.byteLength(line.text)).toBeGreaterThan(MAX_PROMPT_BYTES - 4);
  expect(Buffer.byteLength(line.text)).toBeLessThanOrEqual(MAX_PROMPT_BYTES);
  expect(text.startsWith(line.text)).toBe(true);
  expect(isCut(line)).toBe(true);
  expect(PromptLineSchema.safeParse(line).success).toBe(true);
});

test('the longest line that there can be is read as a line', () => {
  const line = promptLine({ ...words, text: '\u0001'.repeat(MAX_PROMPT_BYTES), parent: 'p0' });
  const bytes = bytesOf(line);
  expect(bytes.length).toBeLessThanOrEqual(MAX_PROMPT_LINE_BYTES);
  expect(new EvidenceLines(UP).push(bytes)).toEqual([line]);
});

test('half a surrogate pair and control characters do no harm', () => {
  const line = promptLine({ ...words, text: 'a\ud800b\u0000\u202e' });
  expect(line.text).toBe('a\ufffdb\u0000\u202e');
  expect(new EvidenceLines(UP).push(bytesOf(line))).toEqual([line]);
});

test('a line that is not what it says is none', () => {
  const line = promptLine({ ...words, text: 'remove the test orders' });
  for (const wrong of [
    { ...line, text: 'remove the prod orders' },
    { ...line, bytes: 3 },
    { ...line, bytes: 22.5 },
    { ...line, sha256: 'f'.repeat(64) },
    { ...line, id: '' },
    { ...line, id: 'a b' },
    { ...line, id: 'x'.repeat(65) },
    { ...line, source: 'the gateway' },
    { ...line, parent: '\u001b[2J' },
    { ...line, sentMs: -1 },
    { ...line, text: 'y'.repeat(MAX_PROMPT_BYTES + 1), bytes: 1 << 20 },
    { ...line, text: undefined },
  ]) {
    expect(PromptLineSchema.safeParse(wrong).success).toBe(false);
    expect(new EvidenceLines(UP).push(bytesOf(wrong))).toEqual([]);
  }
});

test('a client cannot speak with the words of the gateway, nor the gateway with its', () => {
  const approved = {
    type: 'decided',
    stream: 1,
    at: 0,
    request: 'r',
    outcome: 'released',
    by: ['the owner'],
  };
  const prompt = promptLine({ ...words, text: 'x' });
  expect(new EvidenceLines(UP).push(Buffer.concat([bytesOf(approved), bytesOf(prompt)]))).toEqual([
    prompt,
  ]);
  expect(new EvidenceLines().push(Buffer.concat([bytesOf(approved), bytesOf(prompt)]))).toEqual([
    approved,
  ]);
});
