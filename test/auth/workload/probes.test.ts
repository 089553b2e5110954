import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createProbes } from '../../../src/auth/workload/probes.ts';
import { listen } from '../listen.ts';
import { TestRoot } from './test-root.ts';

const signal = new AbortController().signal;

describe('files that a provider reads', () => {
  let root: TestRoot;
  beforeEach(() => {
    root = new TestRoot();
  });
  afterEach(() => root[Symbol.dispose]());

  test('a pipe in the place of a file is not waited for', async () => {
    root.write('/run/other', '');
    execFileSync('mkfifo', [join(root.path, '/run/token')]);
    const probes = createProbes({ env: {}, root: root.path });
    expect(await probes.readToken('/run/token')).toBeUndefined();
    expect(await probes.readText('/run/token')).toBeUndefined();
  });

  test('a device without end is not read for ever', async () => {
    const probes = createProbes({ env: {} });
    expect(await probes.readToken('/dev/zero').catch((error) => error)).toMatchObject({
      code: expect.stringMatching(/^HOOP_(TOO_LARGE|LOCAL_STATE)$/),
    });
  });

  test('a file that is not there is told from one that is', async () => {
    root.write('/run/token', 'x');
    const probes = createProbes({ env: {}, root: root.path });
    expect(await probes.exists('/run/token')).toBe(true);
    expect(await probes.exists('/run/other')).toBe(false);
    expect(await probes.readToken('/run/other')).toBeUndefined();
  });
});

describe('answers that a provider gets', () => {
  test('a body without end is cut off, with and without proxies', async () => {
    const server = createServer((_request, response) => {
      const chunk = Buffer.alloc(8 * 1024, 'x');
      const more = (): void => {
        while (!response.destroyed && response.write(chunk)) {
          // until the socket is full
        }
      };
      response.on('drain', more);
      more();
    });
    const { port, close } = await listen(server);
    const probes = createProbes({ env: {} });
    for (const direct of [false, true]) {
      await expect(
        probes.http(`http://127.0.0.1:${port}/`, { direct }, signal),
      ).rejects.toMatchObject({ code: 'HOOP_TOO_LARGE' });
      expect(await probes.tryHttp(`http://127.0.0.1:${port}/`, { direct }, signal)).toBeUndefined();
    }
    await close();
  });

  test('an answer that stops in the middle is given up', async () => {
    const server = createServer((_request, response) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('half');
    });
    const { port, close } = await listen(server);
    const answer = createProbes({ env: {} }).http(
      `http://127.0.0.1:${port}/`,
      { timeoutMs: 50, direct: true },
      signal,
    );
    await expect(answer).rejects.toMatchObject({
      code: 'HOOP_UNREACHABLE',
      detail: 'It has not answered within 50 ms.',
    });
    await close();
  });
});
