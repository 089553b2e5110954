/**
 * `npm run conformance:packaging`: systemd's own tools judge the units, without systemd running. Needs
 * systemd-analyze of Debian's package systemd.
 */
import { execFileSync } from 'node:child_process';

const SERVICE = 'packaging/systemd/hoop-gateway.service';
const SOCKET = 'packaging/systemd/hoop-gateway.socket';
/** Exposure times ten, as `systemd-analyze security` counts it. */
const MAX_EXPOSURE = 15;

const judge = (what: string, args: readonly string[]): string => {
  const output = execFileSync('systemd-analyze', args, { encoding: 'utf8' });
  process.stdout.write(`ok   ${what}\n`);
  return output;
};

const exposure = judge(`the service is exposed by ${MAX_EXPOSURE / 10} at most`, [
  'security',
  '--no-pager',
  '--offline=true',
  `--threshold=${MAX_EXPOSURE}`,
  SERVICE,
]);
process.stdout.write(`${exposure.trimEnd().split('\n').at(-1)}\n`);
judge('systemd finds no fault in the units', ['verify', '--man=no', SOCKET, SERVICE]);
process.stdout.write('2 passed, 0 failed\n');
