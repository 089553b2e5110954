// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are commands for a shell
import { describe, expect, test } from 'vitest';
import { isPassed } from '../../../../src/connectors/ssh/gateway/environment.ts';
import { shellFacts } from '../../../../src/connectors/ssh/policy/shell-facts.ts';
import { decide, grantOf, outcome } from './ssh-fixture.ts';

const GRANT = grantOf(
  'allow: { ssh: exec, commands: ["cat /var/log/*", "echo **", "find **", "git log", "wc **", "cat"] }',
  'deny: { ssh: exec, commands: ["rm **"] }',
);

function exec(command: string): string {
  return outcome(decide(GRANT, { kind: 'exec', command }));
}

describe('each of these ran rm in a shell', () => {
  test.each([
    // dash: a here-document that ends at $EOF, and at a line of its own within quotes.
    "cat <<$'EOF'\n$EOF\nrm x\nEOF",
    "cat <<'E\nF'\nE\nF\nrm x\nE",
    // A single quote within a variable within double quotes, or in a here-document, is no quote.
    '"$(echo)"; echo "${x:-\'}"; rm x; echo "\'}"',
    'echo "${x:-$\'$(rm x)\'}"',
    "cat <<EOF\n${x:-'$(rm x)'}\nEOF",
    "cat <<EOF\n${x:-$'$(rm x)'}\nEOF",
    // A variable that is a semicolon.
    'x=\';\'; find /srv -exec wc "$x" -exec rm a \\;',
    "x='a ; -exec rm b'; find /srv -exec wc $x \\;",
    'LC_ALL=zh_TW.BIG5; echo "€\\"; rm x #"',
    'export LC_ALL=ja_JP.SJIS\necho "€\\"; rm x #"',
    'env LC_ALL=zh_CN.GBK bash -c \'echo "€\\"; rm x #"\'',
  ])('%j is not understood', (command) => {
    expect(exec(command)).toBe('HOOP_UNPARSED');
  });

  test('what follows a plus that ends nothing is an argument', () => {
    expect(exec('find /srv -exec cat /var/log/x + /etc/shadow \\;')).toBe('HOOP_NOT_ALLOWED');
    expect(exec('find /srv -exec wc {} + -exec rm {} +')).toBe('HOOP_DENIED');
  });
});

test.each([
  'cat <<EOF\n$HOME ${x:-none}\nEOF',
  "cat <<'END OF TEXT'\nit's ${x}\nEND OF TEXT",
  'echo "${HOME:-/root}" ${x:-\'a b\'}',
  'find /srv -name "$x" -exec wc -l {} +',
  'find /srv -type f -exec wc -l {} \\;',
  'LC_ALL=C git log',
  'LANG=de_DE.UTF-8 LC_TIME=en_DK git log',
])('%j is an everyday command', (command) => {
  expect(exec(command)).toBe('allow');
});

test('a command that starts itself again and again costs no more than its words', () => {
  const text = `${'env '.repeat(60)}${'a '.repeat(3900)};`.repeat(4);
  const { commands, unknown } = shellFacts(text);
  expect(commands.reduce((sum, { words }) => sum + words.length, 0)).toBeLessThanOrEqual(16_384);
  expect(unknown.map(({ reason }) => reason)).toContain('it has too many words');
});

describe('what rules write out, again and again, hides nothing behind it', () => {
  const grant = grantOf(
    'allow: { ssh: exec, commands: [". /srv/app/env", "PATH=/opt/bin sudo -i", "echo **"] }',
    'allow: { ssh: exec, commands: ["PATH=/opt/bin sudo -i"], paths: ["/tmp/*"] }',
    'deny: { ssh: exec, commands: ["rm **"] }',
  );
  const of = (command: string): string => outcome(decide(grant, { kind: 'exec', command }));

  test('a command', () => {
    expect(of('. /srv/app/env; '.repeat(400))).toBe('allow');
    expect(of(`${'. /srv/app/env; '.repeat(500)}rm -rf /srv`)).toBe('HOOP_UNPARSED');
  });

  test('a file that is written to', () => {
    const one = 'PATH=/opt/bin sudo -i >/tmp/a 2>/tmp/b; ';
    expect(of(one.repeat(200))).toBe('allow');
    expect(of(`${one.repeat(250)}echo x >/etc/passwd`)).toBe('HOOP_UNPARSED');
  });
});

test('a locale in which quotes can hide is not passed on', () => {
  for (const value of ['zh_TW.BIG5', 'ja_JP.SJIS', 'zh_CN.GBK', 'zh_TW', '../../tmp/locale']) {
    expect(isPassed('LC_ALL', value), value).toBe(false);
    expect(isPassed('LC_CTYPE', value), value).toBe(false);
    // Says nothing of how characters are read, nor where files are.
    expect(isPassed('LC_REASON', value), value).toBe(true);
  }
  expect(isPassed('LC_MESSAGES', '../../tmp/locale')).toBe(false);
  expect(isPassed('LC_MESSAGES', 'ja_JP.SJIS')).toBe(true);
  for (const value of ['C', 'C.UTF-8', 'en_US.UTF-8', 'de_DE@euro', 'zh_CN.utf8', 'en_US', '']) {
    expect(isPassed('LANG', value), value).toBe(true);
  }
});
