import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/build-once.ts'],
    setupFiles: ['test/plain-environment.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // What a test waits for comes late on a busy machine; vitest's 1 s would be an assertion on time.
    expect: { poll: { timeout: 20_000 } },
    // Two cores: end-to-end files start servers of their own, so few files at a time.
    maxWorkers: 2,
  },
});
