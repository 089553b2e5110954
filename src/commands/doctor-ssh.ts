/** What `hoop doctor` looks at for servers: the programs of this machine, and how fast it encrypts. */
import { delimiter } from 'node:path';
import { findProgram } from '../connectors/ssh/client/ssh-files.ts';
import { isSsh2BindingLoaded } from '../connectors/ssh/client/ssh2-binding.ts';
import { type DoctorCheck, passed } from '../ui/doctor-lines.ts';
import type { Io } from './io.ts';

/** Not in everybody's PATH. */
const PLACES_OF_SSHD = ['/usr/sbin', '/usr/local/sbin', '/sbin', '/opt/homebrew/sbin'];

export function sshChecks({ env }: Pick<Io, 'env'>): DoctorCheck[] {
  const path = env['PATH'] ?? '';
  const ssh = findProgram('ssh', path);
  const sshd = findProgram('sshd', [path, ...PLACES_OF_SSHD].join(delimiter));
  return [
    ssh === undefined
      ? {
          name: 'ssh',
          status: 'warning',
          text: 'it is not on PATH; servers are reached with it',
          hint: 'Install OpenSSH’s client, e.g. `apt install openssh-client`. Databases need none.',
        }
      : passed('ssh', ssh),
    sshd === undefined
      ? {
          name: 'sshd',
          status: 'skipped',
          text: 'not installed; only the server of `hoop demo` is missing without it',
        }
      : passed('sshd', `${sshd}, for the server of \`hoop demo\``),
    isSsh2BindingLoaded()
      ? passed('ssh-crypto', 'the native part of ssh2 is loaded')
      : {
          name: 'ssh-crypto',
          status: 'warning',
          text: `SSH works without the native part of ssh2, which is not built for Node.js ${process.versions.node}: large files take about twice as long`,
          hint: 'Build it with `npm run native` in a checkout, or `npm rebuild ssh2` where hoop is installed; that takes Python, make and a C++ compiler.',
        },
  ];
}
