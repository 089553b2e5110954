import { expect, test } from 'vitest';

test('tests see neither a CI job, nor a platform, nor the settings of who runs them', () => {
  const names = Object.keys(process.env);
  const foreign =
    /^(CI|.*_(ACTIONS|CI)|(AWS|AZURE|GCE|KUBERNETES|BUILDKITE|CIRCLE|DEVIN|SPIFFE|ACTIONS|GITHUB)_.*|HOOP_(?!TEST_).*|PG.*|(NO|FORCE)_COLOR|TERM|DISPLAY|BROWSER)$/;
  expect(names.filter((name) => foreign.test(name))).toEqual([]);
  expect(names).toContain('PATH');
});
