/**
 * Why there is no fence here, and what to do about it. Nothing weaker is tried instead: who asks for
 * a fence relies on it.
 */
import { existsSync, readFileSync } from 'node:fs';
import { HoopError } from '../../errors.ts';
import type { Failure } from './fence-messages.ts';

/** What it is looked up in; for tests. */
export interface System {
  /** Text of a file, undefined when there is none. */
  readonly read: (path: string) => string | undefined;
  readonly exists: (path: string) => boolean;
}

export function notLinux(): HoopError {
  return new HoopError('HOOP_FENCE', 'there is no fence on this system', {
    detail: 'A fence needs Linux namespaces.',
    hint: 'Run hoop in a Linux container or virtual machine, or omit --fence.',
  });
}

export function noFilter(machine: string): HoopError {
  return new HoopError('HOOP_FENCE', `there is no fence on this machine (${machine})`, {
    detail: 'hoop can filter system calls only on x86-64 and arm64.',
  });
}

export function noBubblewrap(): HoopError {
  return new HoopError('HOOP_FENCE', 'the fence needs "bwrap"', {
    detail: 'There is no such program on PATH; the package is called bubblewrap.',
    hint: 'Install it: `apt install bubblewrap`, `dnf install bubblewrap`, `apk add bubblewrap`.',
  });
}

/** @param path that was something else when the view was made */
export function changedMeanwhile(path: string): HoopError {
  return new HoopError('HOOP_FENCE', ...changed(path));
}

/** A place of the view was gone before it was mapped. Nothing runs inside. */
export class PlaceGone extends HoopError {
  readonly path: string;
  /** What to say when it is the same place each time, which is no program that comes and goes. */
  readonly lasting: HoopError;

  constructor(path: string, lasting?: HoopError) {
    super('HOOP_FENCE', ...changed(path));
    this.path = path;
    this.lasting = lasting ?? this;
  }
}

function changed(path: string): [message: string, options: { detail: string; hint: string }] {
  return [
    `"${path}" was changed while the fence was set up`,
    {
      detail: 'Somebody moved or replaced it at that moment; another run may be writing there too.',
      hint: 'Start the run again.',
    },
  ];
}

/** A program that is there outside: that was asked before. */
export function commandFailed(program: string, { code, interpreter }: Failure): HoopError {
  const message = `cannot run "${program}"`;
  if (code === 'EACCES') {
    const detail = 'Inside the fence it is not executable.';
    return new HoopError('HOOP_MISSING_PROGRAM', message, { detail });
  }
  const needed = interpreter ?? program;
  return new HoopError('HOOP_MISSING_PROGRAM', message, {
    detail: needed.includes('/')
      ? `"${needed}" is missing or hidden inside the fence, or is a link to such a place.`
      : 'Inside the fence there is no such program on PATH.',
    hint: 'Show its directory with --fence-show PATH.',
  });
}

/** Where there is no place to mount on, bwrap makes one, which it cannot where nothing may be written. */
const GONE: readonly RegExp[] = [
  /^bwrap: Can't (?:find source path|get type of source) (.+?): /,
  /^bwrap: Can't (?:create file at|mkdir(?: parents for)?) (.+): Read-only file system$/,
  /^bwrap: Can't (?:bind mount .+|remount readonly) on (?:\/newroot)?(.+?): Unable to find /,
];

/** @param said what bwrap wrote before it ended */
export function explainFailure(said: string, system: System = REAL): HoopError {
  const last = said.trim().split('\n').at(-1) ?? '';
  const failure = new HoopError('HOOP_FENCE', 'the fence could not be set up', {
    detail: last === '' ? 'bwrap ended without a message.' : `It says: ${last}.`.replace('..', '.'),
    hint: hintFor(last, system),
  });
  const gone = GONE.map((form) => form.exec(last)?.[1]).find((path) => path !== undefined);
  return gone === undefined ? failure : new PlaceGone(gone, failure);
}

function hintFor(last: string, { read, exists }: System): string {
  const setting = (path: string): string | undefined => read(`/proc/sys/${path}`)?.trim();
  if (/^bwrap: Unknown option|invalid option/i.test(last)) {
    return 'This bwrap is too old: hoop needs version 0.5 or newer.';
  }
  if (setting('kernel/apparmor_restrict_unprivileged_userns') === '1') {
    // https://ubuntu.com/blog/ubuntu-23-10-restricted-unprivileged-user-namespaces
    return (
      'AppArmor keeps programs without a profile from creating namespaces (Ubuntu 23.10 and newer). ' +
      'docs/fence.md has a profile that allows bwrap.'
    );
  }
  if (setting('user/max_user_namespaces') === '0') {
    return 'User namespaces are off: `sudo sysctl user.max_user_namespaces=15000` turns them on.';
  }
  if (setting('kernel/unprivileged_userns_clone') === '0') {
    return 'User namespaces are off: `sudo sysctl kernel.unprivileged_userns_clone=1` turns them on.';
  }
  if (exists('/.dockerenv') || exists('/run/.containerenv')) {
    return (
      'In a container, namespaces and /proc are usually restricted. Fence the container itself, or ' +
      'start it with `--security-opt seccomp=unconfined --security-opt systempaths=unconfined`.'
    );
  }
  return 'See docs/fence.md.';
}

const REAL: System = {
  read: (path) => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      // A setting that this kernel does not have.
      return undefined;
    }
  },
  exists: existsSync,
};
