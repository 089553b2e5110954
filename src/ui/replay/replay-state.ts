/** Where the viewer stands in a replay, and what each key and each tick of the clock does to it. */
import type { ReplayModel } from './replay-model.ts';
import { timeOf } from './transcript.ts';

export interface ReplayState {
  /** Index of the entry that is looked at. */
  readonly selected: number;
  /** Milliseconds since the start of the session. */
  readonly timeMs: number;
  readonly playing: boolean;
  readonly speed: number;
  /** First line of the detail that is shown. */
  readonly scroll: number;
  readonly help: boolean;
}

export type ReplayKey =
  | 'up'
  | 'down'
  | 'pageUp'
  | 'pageDown'
  | 'first'
  | 'last'
  | 'back'
  | 'forward'
  | 'play'
  | 'faster'
  | 'slower'
  | 'nextDenied'
  | 'scrollUp'
  | 'scrollDown'
  | 'help';

const SEEK_MS = 5000;
/** While playing, longer pauses are cut to this: nobody watches someone think. */
const MAX_IDLE_MS = 3000;
const MIN_SPEED = 0.25;
const MAX_SPEED = 64;

/** @param at the entry to begin with, of those who come back to it */
export function firstState(
  model: ReplayModel,
  speed: number | undefined,
  at?: number,
): ReplayState {
  const entry = at === undefined ? undefined : model.entries[at];
  return {
    selected: at ?? 0,
    timeMs: entry === undefined ? 0 : timeOf(entry) - model.startMs,
    // Someone who asks for a speed wants it to play.
    playing: speed !== undefined && at === undefined && model.entries.length > 0,
    speed: speed ?? 1,
    scroll: 0,
    help: false,
  };
}

/** @param page lines of detail that fit on the screen. */
export function pressKey(
  model: ReplayModel,
  state: ReplayState,
  key: ReplayKey,
  page: { readonly list: number; readonly detail: number; readonly maxScroll: number },
): ReplayState {
  if (state.help) {
    return { ...state, help: false };
  }
  switch (key) {
    case 'up':
      return select(model, state, state.selected - 1);
    case 'down':
      return select(model, state, state.selected + 1);
    case 'pageUp':
      return select(model, state, state.selected - page.list);
    case 'pageDown':
      return select(model, state, state.selected + page.list);
    case 'first':
      return select(model, state, 0);
    case 'last':
      return select(model, state, model.entries.length - 1);
    case 'back':
      return seek(model, state, state.timeMs - SEEK_MS);
    case 'forward':
      return seek(model, state, state.timeMs + SEEK_MS);
    case 'play':
      if (!state.playing && state.timeMs >= model.durationMs) {
        return { ...seek(model, state, 0), playing: true };
      }
      return { ...state, playing: !state.playing };
    case 'faster':
      return { ...state, speed: Math.min(MAX_SPEED, state.speed * 2) };
    case 'slower':
      return { ...state, speed: Math.max(MIN_SPEED, state.speed / 2) };
    case 'nextDenied':
      return nextDenied(model, state);
    case 'scrollUp':
      return { ...state, scroll: Math.max(0, state.scroll - page.detail) };
    case 'scrollDown':
      return { ...state, scroll: Math.min(page.maxScroll, state.scroll + page.detail) };
    case 'help':
      return { ...state, help: true };
  }
}

/** @param elapsedMs by the viewer's clock since the last tick. */
export function tick(model: ReplayModel, state: ReplayState, elapsedMs: number): ReplayState {
  if (!state.playing) {
    return state;
  }
  const next = model.entries[state.selected + 1];
  const nextMs = next ? timeOf(next) - model.startMs : model.durationMs;
  const idle = Math.max(0, nextMs - state.timeMs - MAX_IDLE_MS * state.speed);
  const timeMs = Math.min(model.durationMs, state.timeMs + elapsedMs * state.speed + idle);
  const moved = seek(model, state, timeMs);
  return { ...moved, playing: timeMs < model.durationMs };
}

function select(model: ReplayModel, state: ReplayState, index: number): ReplayState {
  const selected = Math.max(0, Math.min(model.entries.length - 1, index));
  const entry = model.entries[selected];
  const timeMs = entry ? timeOf(entry) - model.startMs : 0;
  return { ...state, selected, timeMs, scroll: 0, playing: false };
}

function seek(model: ReplayModel, state: ReplayState, ms: number): ReplayState {
  const timeMs = Math.max(0, Math.min(model.durationMs, ms));
  const selected = lastBefore(model, timeMs);
  return { ...state, timeMs, selected, scroll: selected === state.selected ? state.scroll : 0 };
}

/** The entry that had begun last at this time: binary search, because it is asked at every tick. */
function lastBefore(model: ReplayModel, timeMs: number): number {
  let low = 0;
  let high = model.entries.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    const entry = model.entries[middle];
    if (entry && timeOf(entry) - model.startMs <= timeMs) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

function nextDenied(model: ReplayModel, state: ReplayState): ReplayState {
  const { entries } = model;
  for (let step = 1; step <= entries.length; step++) {
    const index = (state.selected + step) % entries.length;
    const entry = entries[index];
    if (entry?.type === 'statement' && entry.outcome === 'denied') {
      return select(model, state, index);
    }
  }
  return state;
}
