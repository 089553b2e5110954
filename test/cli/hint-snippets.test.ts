/** Hints show rules and commands to copy: a policy loads the rules, the program takes the commands. */
import { globSync, readFileSync } from 'node:fs';
import { Writable } from 'node:stream';
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { callNotAllowed } from '../../src/connectors/postgres/policy/verdict/evaluate-functions.ts';
import { guardSettings } from '../../src/connectors/postgres/policy/verdict/guards.ts';
import { problemLine } from '../../src/policy/load-policy.ts';
import { requestCommand } from '../../src/policy/words/request-command.ts';
import { buildProgram } from '../../src/process/program.ts';
import { grantOf } from '../connectors/postgres/policy/grant-fixture.ts';
import { loadPolicy } from '../policy/with-connectors.ts';
import { silentIo } from './silent-io.ts';

const NAMES = [
  'plain',
  'Tax.No',
  'with space',
  'a*b',
  '*',
  'say "x"',
  "it's",
  'back\\slash',
  'ü: #',
];

function problemsOf(hint: string | undefined): string[] {
  const snippet = /allow: (\{.*\})/.exec(hint ?? '')?.[1];
  expect(snippet, hint).toBeDefined();
  const { problems } = loadPolicy(
    new Map([
      [
        'hoop.yaml',
        'version: 1\nidentityProviders: [{ issuer: https://idp.example, clientId: hoop }]\n',
      ],
      ['targets/db.yaml', 'name: db\nkind: postgres\ndatabase: shop\n'],
      [
        'policies/p.yaml',
        `name: p\nwho: { everyone: true }\ntargets: { names: [db] }\nrules:\n  - allow: ${snippet}\n`,
      ],
    ]),
  );
  return problems.map(problemLine);
}

test.each(NAMES)('the hint about function %s is a rule that loads', (name) => {
  const called = { schema: name, name, builtIn: false };
  for (const masks of [[], ['public.t.c full']]) {
    const { hint } = callNotAllowed(called, grantOf({ masks }));
    expect(problemsOf(hint)).toEqual([]);
  }
});

test('the hint about a function without a schema shows no rule', () => {
  const { hint } = callNotAllowed(
    { schema: undefined, name: 'f', builtIn: false },
    grantOf({ masks: [] }),
  );
  expect(hint).not.toContain('allow:');
});

test.each(['work_mem', 'app.tenant', 'App.Tenant'])(
  'the hint about setting %s is a rule that loads',
  (name) => {
    const refused = guardSettings([{ name, value: 'x' }], grantOf({ rules: ['allow select'] }));
    if (refused !== undefined) expect(problemsOf(refused.hint)).toEqual([]);
  },
);

test.each(['*', 'a b'])('the hint about setting %s shows no rule', (name) => {
  const refused = guardSettings([{ name, value: 'x' }], grantOf({ rules: ['allow select'] }));
  expect(refused?.hint).not.toContain('allow:');
});

test('no source builds a rule for a hint by itself', () => {
  const own = globSync('src/**/*.ts').filter((file) =>
    /^(?!\s*(?:\*|\/)).*['"`][^'"`\n]*allow: ?\{/m.test(readFileSync(file, 'utf8')),
  );
  expect(own.filter((file) => !file.startsWith('src/demo/'))).toEqual([]);
});

test.each([
  ['db', undefined],
  ['db', 'fix'],
  ['a b', "it's"],
] as const)(
  'the command that requests %s with %s has every option that it needs',
  async (target, grant) => {
    const io = silentIo(new Writable({ write: (_, __, done) => done() }));
    const program = buildProgram(io, false);
    let asked: unknown[] = [];
    const child = (of: Command, name: string): Command => {
      const found = of.commands.find((one) => one.name() === name);
      if (found === undefined) throw new Error(`there is no ${name}`);
      return found;
    };
    const command = child(child(program, 'access'), 'request').action((...words: unknown[]) => {
      asked = words;
    });
    const words = requestCommand(target, grant).replaceAll("'\\''", '\u0000');
    const parsed = [...words.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) =>
      (quoted ?? bare ?? '').replaceAll('\u0000', "'"),
    );
    await program.parseAsync(parsed.slice(1), { from: 'user' });
    expect(asked[0]).toBe(target);
    expect(command.opts()).toMatchObject({ reason: 'TEXT', ...(grant ? { grant } : {}) });
  },
);

test('no other source writes that command', () => {
  const files = globSync('src/**/*.ts').filter((file) =>
    /hoop access request \$/.test(readFileSync(file, 'utf8')),
  );
  expect(files).toEqual(['src/policy/words/request-command.ts']);
});
