/** The view of a fence as arguments of bwrap(1), which applies them in this order. */
import { join } from 'node:path';
import type { FenceView } from './fence-view.ts';
import type { Layer } from './layers.ts';

export interface BubblewrapOptions {
  readonly view: Pick<FenceView, 'cwd' | 'layers'>;
  /** Number of the descriptor that the seccomp filter is read from. */
  readonly filterDescriptor: number;
  /** What belongs to root can be written by root without rights, too. */
  readonly isRoot: boolean;
  /** A file that becomes the command's standard input. */
  readonly input?: string;
  /** Where XDG_RUNTIME_DIR is, made anew. */
  readonly runtimeDirectory: string;
}

/** Settings of the kernel, `core_pattern` among them, which names a program that root runs outside. */
const KERNEL = ['/proc/sys', '/proc/irq', '/proc/bus', '/proc/fs'];

/** Where the file for standard input is, on a mount that is read-only. */
export const INPUT = '/dev/.input';

/** What NixOS and others keep in /run and programs are found through. */
const SYSTEM_IN_RUN = ['/run/current-system', '/run/opengl-driver', '/run/systemd/resolve'];

export function bubblewrapArguments(options: BubblewrapOptions): readonly string[] {
  const { view, filterDescriptor, runtimeDirectory } = options;
  return [
    // A network with loopback only; abstract sockets, processes and shared memory of its own.
    ...['--unshare-user', '--unshare-net', '--unshare-pid', '--unshare-ipc'],
    '--unshare-cgroup-try',
    // Root would keep what root can do, and could undo the mounts.
    ...['--cap-drop', 'ALL'],
    '--die-with-parent',
    ...['--seccomp', String(filterDescriptor)],
    ...both('--ro-bind', '/'),
    ...['--dev', '/dev'],
    ...['--proc', '/proc'],
    ...(options.isRoot ? KERNEL.flatMap((path) => both('--ro-bind-try', path)) : []),
    ...view.layers.flatMap(mountsOf),
    // What is written there would not be kept: it is refused. After the mounts in it, which bwrap
    // makes places for.
    ...view.layers.flatMap(({ path, as }) => (as === 'cut' ? ['--remount-ro', path] : [])),
    ...SYSTEM_IN_RUN.flatMap((path) => both('--ro-bind-try', path)),
    ...['--perms', '0700', '--dir', runtimeDirectory],
    ...(options.input === undefined ? [] : ['--ro-bind', options.input, INPUT]),
    ...['--chdir', view.cwd],
  ];
}

function mountsOf(layer: Layer): string[] {
  const { path, as, isDirectory } = layer;
  switch (as) {
    case 'readable':
      return both('--ro-bind', path);
    case 'writable':
      return both('--bind', path);
    case 'shadowed':
      return ['--bind', layer.source ?? path, path];
    case 'private':
      return ['--perms', '1777', '--tmpfs', path];
    case 'hidden':
      // A device on a mount that allows no devices cannot be opened, whoever one is.
      return isDirectory ? ['--perms', '0700', '--tmpfs', path] : ['--ro-bind', '/dev/null', path];
    case 'cut':
      return cut(layer);
  }
}

function cut({ path, entries = [], mode = 0o700 }: Layer): string[] {
  return [
    ...['--perms', mode.toString(8).padStart(4, '0'), '--tmpfs', path],
    ...entries.flatMap(({ name, target }) =>
      target === undefined
        ? both('--ro-bind-try', join(path, name))
        : ['--symlink', target, join(path, name)],
    ),
  ];
}

function both(flag: string, path: string): string[] {
  return [flag, path, path];
}
