import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { POLICY_FILES } from '../../src/policy/schema/json-schema.ts';
import { policyJsonSchema } from './with-connectors.ts';

// To renew: for kind in hoop target policy: hoop policy schema KIND > schema/KIND.schema.json; npm run format
test.each(POLICY_FILES)('schema/%s.schema.json is what the schema in the code says', (kind) => {
  const file = new URL(`../../schema/${kind}.schema.json`, import.meta.url);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(policyJsonSchema(kind));
});

test.each(POLICY_FILES)('the schema of %s refuses unknown keys as the loader does', (kind) => {
  const closed = { type: 'object', additionalProperties: false };
  const kinds = { oneOf: [closed, closed] };
  expect(policyJsonSchema(kind)).toMatchObject(kind === 'target' ? kinds : closed);
});
