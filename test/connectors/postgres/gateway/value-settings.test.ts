import { expect, test } from 'vitest';
import { NamedSettings } from '../../../../src/connectors/postgres/gateway/statements/value-settings.ts';

test('names are folded as the server does: letters beyond ASCII keep their case', () => {
  const named = new NamedSettings();
  for (const name of ['APP.Tenant', 'app.Ä', 'app.ä', 'app.\u212a', 'DateStyle', 'work_mem']) {
    named.add(name);
  }
  expect([...named.names]).toEqual(['app.tenant', 'app.Ä', 'app.ä', 'app.\u212a', 'datestyle']);
  expect(named.areMore).toBe(false);
});
