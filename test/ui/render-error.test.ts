import { describe, expect, test } from 'vitest';
import { ERROR_CODES, HoopError, ProtocolError } from '../../src/errors.ts';
import { exitCodeFor, renderError } from '../../src/ui/render-error.ts';

const TEXT = { json: false, color: false } as const;

describe('errors for people', () => {
  test('message, detail and hint each have a line of their own', () => {
    const error = new HoopError('HOOP_UNREACHABLE', 'cannot reach gateway "gw:443"', {
      detail: 'Connection refused.\nThree addresses were tried.',
      hint: 'Check the address.',
    });
    expect(renderError(error, TEXT)).toBe(
      'hoop: error: cannot reach gateway "gw:443"\n' +
        'hoop: detail: Connection refused.\n' +
        'hoop: detail: Three addresses were tried.\n' +
        'hoop: hint: Check the address.\n',
    );
  });

  test('remote text in an error cannot act on the terminal or forge a line', () => {
    const error = new HoopError('HOOP_GATEWAY_REFUSED', 'no\nhoop: error: fake \x1b]0;x\x07');
    expect(renderError(error, TEXT)).toBe(
      'hoop: error: no⟪U+000A⟫hoop: error: fake ⟪U+001B⟫]0;x⟪U+0007⟫\n',
    );
  });

  test('colour adds escape codes and changes no word', () => {
    const error = new HoopError('HOOP_DENIED', 'denied', { hint: 'Ask.' });
    const colored = renderError(error, { json: false, color: true });
    expect(colored).toContain('\x1b[31m');
    expect(colored.replace(/\x1b\[\d+m/g, '')).toBe(renderError(error, TEXT));
  });
});

describe('errors for programs', () => {
  test('one JSON document with version, code and texts', () => {
    const error = new HoopError('HOOP_NOT_LOGGED_IN', 'not logged in', { hint: 'Log in.' });
    const text = renderError(error, { json: true, color: true });
    expect(text.endsWith('\n')).toBe(true);
    expect(JSON.parse(text)).toEqual({
      v: 1,
      error: { code: 'HOOP_NOT_LOGGED_IN', message: 'not logged in', hint: 'Log in.' },
    });
  });
});

describe('errors that nobody expected', () => {
  test('a plain Error is shown as a bug with its stack', () => {
    const text = renderError(new TypeError('x is not a function'), TEXT);
    expect(text).toMatch(/^hoop: error: unexpected failure inside hoop: x is not a function\n/);
    expect(text).toContain('hoop: detail: TypeError: x is not a function\n');
    expect(text).toMatch(/hoop: detail: {5}at .*render-error\.test\.ts/);
    expect(text).toMatch(/hoop: hint: This is a bug in hoop\./);
  });

  test('what is thrown need not be an Error', () => {
    expect(renderError('oops', TEXT)).toContain('unexpected failure inside hoop: oops\n');
    expect(renderError(undefined, TEXT)).toContain('unexpected failure inside hoop: undefined\n');
  });

  test('an error of the operating system is no bug', () => {
    const error = Object.assign(new Error("EACCES: permission denied, open '/etc/x'"), {
      code: 'EACCES',
      syscall: 'open',
    });
    const text = renderError(error, TEXT);
    expect(text).toContain("hoop: error: EACCES: permission denied, open '/etc/x'\n");
    expect(text).not.toContain('bug');
    const json = renderError(error, { ...TEXT, json: true });
    expect(JSON.parse(json).error).toMatchObject({ code: 'HOOP_SYSTEM' });
    expect(exitCodeFor(error)).toBe(1);
  });

  test.each([
    ['ENOSPC', /hint: Free space on the full disk\..* HOOP_HOME/],
    ['EDQUOT', /hint: Free space on the full disk\..* HOOP_HOME/],
    ['EROFS', /hint: Set HOOP_HOME or the XDG variables/],
    ['EACCES', /hint: Check who owns it/],
    ['EMFILE', /hint: Raise the limit on open files/],
    ['ENOTDIR', /hint: There is a file where a directory must be/],
    ['ENOENT', /hint: The file system may be read-only/, 'mkdir'],
  ])(
    'an error %s of the operating system comes with what to do',
    (code, hint, syscall = 'write') => {
      const error = Object.assign(new Error(`${code}: so it is, ${syscall}`), { code, syscall });
      expect(renderError(error, TEXT)).toMatch(hint);
    },
  );

  test('secrets in texts that we did not write are removed', () => {
    const secrets = [
      'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2ln',
      'postgres://hoop:hunter2hunter2@127.0.0.1/db',
      '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQ\n-----END PRIVATE KEY-----',
      'password=hunter2hunter2',
      'Authorization: DPoP abcdefghijklmnopqrstuvwxyz',
    ];
    for (const secret of secrets) {
      const text = renderError(new Error(`failed with ${secret} here`), TEXT);
      expect(text).toContain('<secret>');
      expect(text).not.toMatch(/hunter2|MC4CAQAwBQ|eyJzdWIi|abcdefghijkl/);
    }
  });
});

describe('exit statuses', () => {
  test.each([
    ['HOOP_USAGE', 2],
    ['HOOP_NOT_LOGGED_IN', 3],
    ['HOOP_ACCESS_DENIED', 4],
    ['HOOP_UNREACHABLE', 5],
    ['HOOP_VERIFY_FAILED', 1],
    ['HOOP_VERIFY_UNTRUSTED', 2],
    ['HOOP_INTERRUPTED', 130],
  ] as const)('%s ends with %i', (code, status) => {
    expect(exitCodeFor(new HoopError(code, 'x'))).toBe(status);
  });

  test('no error ends with 0, and a bug ends with 1', () => {
    for (const code of ERROR_CODES) {
      expect(exitCodeFor(new HoopError(code, 'x'))).toBeGreaterThan(0);
    }
    expect(exitCodeFor(new Error('x'))).toBe(1);
    expect(exitCodeFor(new ProtocolError('x'))).toBe(1);
  });
});
