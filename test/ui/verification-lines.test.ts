import { expect, test } from 'vitest';
import { verificationLines } from '../../src/ui/replay/verification-lines.ts';
import { styleFor } from '../../src/ui/text/style.ts';

test('checks that could not be made for one reason are one line, and others keep theirs', () => {
  const names = ['trust', 'keyring', 'certificate', 'manifest', 'chunks'] as const;
  const lines = verificationLines(
    {
      v: 1,
      session: undefined,
      exitStatus: 2,
      verdict: 'incomplete: the file ends early',
      isOneSided: false,
      checks: [
        { name: 'bundle', status: 'incomplete', text: 'the file ends early' },
        ...names.map((name) => ({ name, status: 'incomplete', text: 'not checked' }) as const),
        { name: 'times', status: 'ok', text: 'not checked' },
      ],
    },
    styleFor(false),
  );
  expect(lines).toEqual([
    '? incomplete  bundle    the file ends early',
    '? incomplete  5 checks  not checked (trust, keyring, certificate, manifest, chunks)',
    '✓ ok          times     not checked',
    '',
    '? incomplete: the file ends early',
  ]);
});
