import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { EVENT_NAMES, eventJsonSchema, ReadEvent } from '../../../src/api/events.ts';

const published = (path: string): string =>
  readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');

test('the published schema is that of this version', () => {
  expect(JSON.parse(published('schema/event.schema.json'))).toEqual(eventJsonSchema());
});

test('docs/events.md has each type', () => {
  const text = published('docs/events.md');
  for (const name of EVENT_NAMES) expect(text).toContain(`\`${name}\``);
});

test('a reader takes types and members that it does not know', () => {
  const event = {
    v: 1,
    cursor: 'c',
    time: '2026-11-23T15:00:00Z',
    gateway: 'g',
    type: 'later.type',
    more: 1,
  };
  expect(ReadEvent.parse(event)).toEqual(event);
});
