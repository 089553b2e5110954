/**
 * Looks at the mounts of a fence before anything runs in it. A view is paths, and bwrap follows them
 * a moment later: another run that may write there could have put a link in the way meanwhile, and
 * what is mounted would be what the link names.
 */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { HoopError } from '../../errors.ts';
import { changedMeanwhile, PlaceGone } from './explain-failure.ts';
import { isBelow } from './is-below.ts';
import type { Layer } from './layers.ts';
import { isSameSpot, type Mount, mountOf, readMounts, type Spot, spotOf } from './mount-table.ts';

/** What bwrap makes besides the view. */
const MADE_BY_US: readonly string[] = ['/dev', '/proc', '/run'];

/** @param pid of a process inside @throws PlaceGone, and HoopError HOOP_FENCE for anything else */
export function requireMounts(pid: number | undefined, layers: readonly Layer[]): void {
  if (pid === undefined) {
    throw new HoopError('HOOP_FENCE', 'the fence ended before its mounts could be looked at');
  }
  const wrong = wrongMount(readMounts('self'), readMounts(pid), layers);
  if (wrong !== undefined) {
    // Temporary directories of others go at any moment. Nothing runs inside yet: all is looked at anew.
    const { source = wrong } = layers.find(({ path }) => path === wrong) ?? {};
    const isGone = lstatSync(source, { throwIfNoEntry: false }) === undefined;
    throw isGone ? new PlaceGone(wrong) : changedMeanwhile(wrong);
  }
}

/** @returns the path of a mount that is missing or another one, or that nobody has asked for */
export function wrongMount(
  outside: readonly Mount[],
  inside: readonly Mount[],
  layers: readonly Layer[],
): string | undefined {
  const isRight = (layer: Layer): boolean => {
    const mount = mountOf(inside, layer.path);
    return mount?.point === layer.path && shows(mount, layer, outside);
  };
  const missing = layers.find((layer) => !isRight(layer));
  if (missing !== undefined) return missing.path;
  const asked = new Set(layers.map(({ path }) => path));
  const entries = new Set(
    layers.flatMap(({ path, entries = [] }) => entries.map(({ name }) => join(path, name))),
  );
  const isOurs = (mount: Mount): boolean =>
    (mount.point === '/' && mount.isReadOnly) ||
    asked.has(mount.point) ||
    MADE_BY_US.some((place) => isBelow(mount.point, place)) ||
    (entries.has(mount.point) && isOrWas(mount, spotOf(outside, mount.point))) ||
    // Came along with the directory that it stands in.
    outside.some(
      (one) => one.point !== '/' && one.point === mount.point && isPartOf(mount, spotOfMount(one)),
    );
  return inside.find((mount) => !isOurs(mount))?.point;
}

function shows(mount: Mount, layer: Layer, outside: readonly Mount[]): boolean {
  const { path, as, isDirectory, source = path } = layer;
  const isNew = mount.type === 'tmpfs' && mount.root === '/';
  switch (as) {
    case 'readable':
      return mount.isReadOnly && isPartOf(mount, spotOf(outside, source));
    case 'writable':
    case 'shadowed':
      return isPartOf(mount, spotOf(outside, source));
    case 'private':
    case 'cut':
      return isNew;
    case 'hidden':
      return isDirectory ? isNew : isPartOf(mount, spotOf(outside, '/dev/null'));
  }
}

function isPartOf(mount: Mount, spot: Spot | undefined): boolean {
  return isSameSpot(spotOfMount(mount), spot);
}

/** The kernel marks what has been removed since it was mounted; what it held then can be seen. */
function isOrWas(mount: Mount, spot: Spot | undefined): boolean {
  return (
    isPartOf(mount, spot) ||
    (spot !== undefined && isPartOf(mount, { ...spot, path: `${spot.path}//deleted` }))
  );
}

function spotOfMount({ device, root }: Mount): Spot {
  return { device, path: root };
}
