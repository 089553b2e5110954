/** Plays scripts directly and through hoop, and says where the two differ. */
import { compare } from './compare.ts';
import type { Lane, Lanes } from './lanes.ts';
import { show } from './messages.ts';
import { play } from './play.ts';
import type { Script } from './script.ts';

/** What is played: the same twice, or a pair of which one is denied where the other has a syntax error. */
export interface Case {
  readonly lane: Lane;
  readonly direct: Script;
  readonly hoop: Script;
}

export function same(lane: Lane, script: Script): Case {
  return { lane, direct: script, hoop: script };
}

/** @returns what differs, or undefined. */
export async function difference(lanes: Lanes, one: Case): Promise<string | undefined> {
  await lanes.reset();
  const direct = await play(lanes.direct, one.direct);
  if (direct.stuckAt !== undefined) {
    throw new Error(`"${one.direct.title}" is stuck at step ${direct.stuckAt} without hoop`);
  }
  await lanes.reset();
  const hoop = await play(lanes.hoop[one.lane], one.hoop, direct.marks);
  const isNative = one.lane === 'anything';
  return compare(direct, hoop, { denied: one.lane === 'denying', anyLocation: !isNative });
}

/** Leaves out message after message as long as the two still differ. */
export async function shrink(lanes: Lanes, found: Case): Promise<Case> {
  let smallest = found;
  for (let step = found.direct.steps.length - 1; step >= 0; step -= 1) {
    const count = found.direct.steps[step]?.send.length ?? 0;
    for (let index = count - 1; index >= 0; index -= 1) {
      const smaller = {
        ...smallest,
        direct: without(smallest.direct, step, index),
        hoop: without(smallest.hoop, step, index),
      };
      if (await stillDiffers(lanes, smaller)) smallest = smaller;
    }
  }
  return smallest;
}

/** A script that is stuck by itself says nothing. */
async function stillDiffers(lanes: Lanes, one: Case): Promise<boolean> {
  try {
    return (await difference(lanes, one)) !== undefined;
  } catch {
    return false;
  }
}

function without(script: Script, step: number, index: number): Script {
  return {
    ...script,
    steps: script.steps.map((one, at) =>
      at === step ? { ...one, send: one.send.toSpliced(index, 1) } : one,
    ),
  };
}

/** The messages, one step a line. */
export function showScript(script: Script): string {
  return script.steps
    .filter(({ send }) => send.length > 0)
    .map(({ send, after, pieces }) => {
      const how = pieces === undefined ? after : `${after}, pieces of ${pieces}`;
      return `    [${how}] ${send.map(show).join(' | ')}`;
    })
    .join('\n');
}
