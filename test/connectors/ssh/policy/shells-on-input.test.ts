/** Shells that read their commands from their input, as editors start them on a server. */
import { describe, expect, test } from 'vitest';
import { decide, grantOf, outcome } from './ssh-fixture.ts';

function exec(grant: ReturnType<typeof grantOf>, command: string): string {
  return outcome(decide(grant, { kind: 'exec', command }));
}

/** As the demo has it: a shell, and any command that a rule does not deny. */
const WITH_SHELL = grantOf(
  '{ name: shell, allow: { ssh: [shell, sftp] } }',
  '{ name: commands, allow: { ssh: exec, commands: ["**"] } }',
  '{ name: never, deny: { ssh: exec, commands: ["rm **", "sudo **"] } }',
);
const WITHOUT_SHELL = grantOf(
  '{ name: commands, allow: { ssh: exec, commands: ["**"] } }',
  '{ name: never, deny: { ssh: exec, commands: ["rm **", "sudo **"] } }',
);

/** The second is a variant with a login shell, the last three are of other editors. */
const STARTS = ['bash', 'bash --login -c bash', 'sh', '/bin/bash', 'bash -l', 'zsh', 'exec sh'];

describe('a command that is only a shell', () => {
  test.each(STARTS)('%s is allowed to those who may have a shell', (command) => {
    expect(exec(WITH_SHELL, command)).toBe('allow');
  });

  test.each(STARTS)('%s needs no rule about commands', (command) => {
    expect(exec(grantOf('{ name: shell, allow: { ssh: shell } }'), command)).toBe('allow');
  });

  test.each(STARTS)('%s is refused to those who may have none, beside a deny', (command) => {
    expect(exec(WITHOUT_SHELL, command)).not.toBe('allow');
  });

  test('is not allowed by a shell that needs approval or is denied', () => {
    for (const effect of ['approve', 'deny']) {
      const grant = grantOf(
        '{ name: commands, allow: { ssh: exec, commands: ["**"] } }',
        `{ name: shells, ${effect}: { ssh: shell${effect === 'approve' ? ', approvers: [leads]' : ''} } }`,
        '{ name: never, deny: { ssh: exec, commands: ["rm **"] } }',
      );
      expect(exec(grant, 'bash')).not.toBe('allow');
    }
  });

  test('is refused where a rule denies commands by this name, and held where one wants approval', () => {
    const shell = '{ name: shell, allow: { ssh: shell } }';
    const denied = grantOf(shell, '{ name: no, deny: { ssh: exec, commands: ["bash **"] } }');
    expect(decide(denied, { kind: 'exec', command: 'bash' })).toMatchObject({
      effect: 'refuse',
      refusal: { message: 'bash is denied by policy' },
    });
    const held = grantOf(
      shell,
      '{ name: ask, approve: { ssh: exec, commands: ["bash **"], approvers: [leads] } }',
    );
    expect(decide(held, { kind: 'exec', command: 'bash' })).toMatchObject({
      approvals: [{ rule: { id: 'p/ask' } }],
    });
  });
});

describe('nothing else becomes a shell', () => {
  test.each([
    'sudo bash',
    'rm x; bash',
    'bash; rm x',
    'bash < /tmp/x',
    'echo rm x | bash',
    'BASH_ENV=/tmp/x bash',
    'A=b bash',
    'bash --rcfile /tmp/x',
    'bash -c "$X"',
    'ssh other',
    'su -',
    'env rm x',
    'xargs bash',
    '$SHELL',
  ])('%s stays refused', (command) => {
    expect(exec(WITH_SHELL, command)).not.toBe('allow');
  });
});

test('the refusal names both rules that would allow it', () => {
  const refused = decide(WITHOUT_SHELL, { kind: 'exec', command: 'bash' });
  expect(refused).toMatchObject({
    refusal: {
      message:
        'the command cannot be checked against the rules: a shell in it reads its commands from its input',
      detail: expect.stringContaining(
        'A rule with allow: { ssh: shell } allows it, and so does { ssh: exec, commands: ["bash"], exact: true }.',
      ),
    },
  });
});

test('the rules that the refusal names do allow it', () => {
  for (const allow of ['{ ssh: shell }', '{ ssh: exec, commands: ["bash"], exact: true }']) {
    const grant = grantOf(
      '{ name: commands, allow: { ssh: exec, commands: ["**"] } }',
      `{ name: editors, allow: ${allow} }`,
      '{ name: never, deny: { ssh: exec, commands: ["rm **", "sudo **"] } }',
    );
    expect(exec(grant, 'bash')).toBe('allow');
  }
});

test.each([
  ['find . -delete', 'find -delete counts as rm, which is denied by policy'],
  ['find . -name x -exec rm {} +', 'rm is denied by policy'],
  ['sudo -u app find /srv -delete', undefined],
])('%s is refused in words that the command has', (command, message) => {
  expect(decide(WITH_SHELL, { kind: 'exec', command })).toMatchObject({
    effect: 'refuse',
    ...(message === undefined ? {} : { refusal: { message } }),
  });
});

test('find -delete without a rule for rm is refused in the same words', () => {
  const grant = grantOf('{ name: look, allow: { ssh: exec, commands: ["find **"] } }');
  expect(decide(grant, { kind: 'exec', command: 'find . -delete' })).toMatchObject({
    refusal: { message: 'find -delete counts as rm, which is not allowed by policy' },
  });
});
