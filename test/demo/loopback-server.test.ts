import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { describe, expect, test, vi } from 'vitest';
import {
  freeLoopbackPort,
  loopbackServer,
  onFreePort,
  portBelow,
} from '../../src/demo/loopback-server.ts';
import { listen } from '../auth/listen.ts';

vi.mock('node:crypto', { spy: true });

describe('the ports of the demo', () => {
  test('lie below the range from which outgoing connections get theirs', () => {
    for (let round = 0; round < 1000; round += 1) {
      const port = portBelow(32_768);
      expect(port).toBeGreaterThanOrEqual(20_768);
      expect(port).toBeLessThan(32_768);
      expect(portBelow(2000)).toBeGreaterThanOrEqual(1024);
    }
    expect(portBelow(1050)).toBe(0);
  });

  test.runIf(process.platform === 'linux')('are below the range of this machine', async () => {
    const range = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
    expect(await freeLoopbackPort()).toBeLessThan(Number.parseInt(range, 10));
  });

  test('one that was free can be listened on, and is refused with what to do when it is taken', async () => {
    const port = await freeLoopbackPort();
    expect(await freeLoopbackPort(port)).toBe(port);
    const { server, url } = await loopbackServer(port);
    expect(url).toBe(`http://127.0.0.1:${port}`);
    await expect(loopbackServer(port)).rejects.toMatchObject({
      code: 'HOOP_LOCAL_PORT',
      message: `the demo cannot listen on its port ${port}`,
      detail: expect.stringContaining('Another program listens there'),
      hint: expect.stringContaining('--data'),
    });
    server.close();
  });

  test('another is taken when the first is not free', async () => {
    vi.mocked(randomInt).mockClear();
    const taken = await listen(createServer());
    vi.mocked(randomInt as () => number).mockReturnValueOnce(taken.port);
    expect(await freeLoopbackPort()).not.toBe(taken.port);
    expect(randomInt).toHaveBeenCalledTimes(2);
    await taken.close();
  });

  test('what starts slowly is started on another when somebody has taken its port meanwhile', async () => {
    const taken: Server[] = [];
    const tried: number[] = [];
    const { server } = await onFreePort(async (port) => {
      tried.push(port);
      if (tried.length === 1) taken.push((await loopbackServer(port)).server);
      return loopbackServer(port);
    });
    expect(server.address()).toMatchObject({ port: tried[1] });
    server.close();
    for (const one of taken) one.close();

    const other = vi.fn().mockRejectedValue(new Error('no such file'));
    await expect(onFreePort(other)).rejects.toThrow('no such file');
    expect(other).toHaveBeenCalledOnce();
  });
});
