/** Where there is no cgroup to be had, as in a login over ssh, the environment tells what is the run's. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { RunRemains } from '../../src/run/remains.ts';

function started(env: NodeJS.ProcessEnv, script = 'echo ready; exec sleep 3600') {
  const child = spawn('sh', ['-c', script], {
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  return { child, ready: once(child.stdout, 'data'), exited: once(child, 'exit') };
}

const PATH = process.env['PATH'];

describe.runIf(process.platform === 'linux')('without a cgroup', () => {
  test('what has the id of the run in its environment ends, and of runs within it; nothing else', async () => {
    const run = '01890a5d-ac96-774b-bcce-b302099a8057';
    const own = started({ PATH, HOOP_RUN: run });
    const stubborn = started(
      { PATH, HOOP_RUN: run },
      "trap '' TERM; echo ready; while :; do sleep 0.1; done",
    );
    const within = started({ PATH, HOOP_RUN: 'another', HOOP_PARENT_RUN: run });
    const others = [
      started({ PATH, HOOP_RUN: `${run}0` }),
      started({ PATH, NOT_HOOP_RUN: run }),
      started({ PATH, NOTE: `HOOP_RUN=${run}` }),
    ];
    await Promise.all([own, stubborn, within, ...others].map(({ ready }) => ready));
    const remains = RunRemains.open(run, { cgroupOf: () => undefined });
    expect(remains?.within(() => 'started')).toBe('started');
    expect(await remains?.end()).toBeGreaterThanOrEqual(3);
    expect(await own.exited).toEqual([null, 'SIGTERM']);
    expect(await within.exited).toEqual([null, 'SIGTERM']);
    expect(await stubborn.exited).toEqual([null, 'SIGKILL']);
    for (const { child, exited } of others) {
      expect([child.exitCode, child.signalCode]).toEqual([null, null]);
      child.kill('SIGKILL');
      await exited;
    }
  });
});
