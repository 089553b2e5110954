/** What each key and each tick of the clock does to a player. */
import type { TrackLength } from './playback.ts';

export interface PlayerState {
  /** In the time of playing. */
  readonly timeMs: number;
  readonly playing: boolean;
  readonly speed: number;
  readonly help: boolean;
}

export type PlayerKey =
  | 'play'
  | 'back'
  | 'forward'
  | 'farBack'
  | 'farForward'
  | 'first'
  | 'last'
  | 'faster'
  | 'slower'
  | 'help';

const SEEK_MS = 5000;
const FAR_MS = 60_000;
const MIN_SPEED = 0.25;
const MAX_SPEED = 64;

/** It plays at once: that is what it is for. */
export function firstPlayerState(speed: number | undefined): PlayerState {
  return { timeMs: 0, playing: true, speed: speed ?? 1, help: false };
}

export function pressPlayerKey(
  { durationMs }: Pick<TrackLength, 'durationMs'>,
  state: PlayerState,
  key: PlayerKey,
): PlayerState {
  if (state.help) {
    return { ...state, help: false };
  }
  const at = (ms: number): PlayerState => ({
    ...state,
    timeMs: Math.max(0, Math.min(durationMs, ms)),
  });
  switch (key) {
    case 'play':
      return !state.playing && state.timeMs >= durationMs
        ? { ...at(0), playing: true }
        : { ...state, playing: !state.playing };
    case 'back':
      return at(state.timeMs - SEEK_MS);
    case 'forward':
      return at(state.timeMs + SEEK_MS);
    case 'farBack':
      return at(state.timeMs - FAR_MS);
    case 'farForward':
      return at(state.timeMs + FAR_MS);
    case 'first':
      return at(0);
    case 'last':
      return { ...at(durationMs), playing: false };
    case 'faster':
      return { ...state, speed: Math.min(MAX_SPEED, state.speed * 2) };
    case 'slower':
      return { ...state, speed: Math.max(MIN_SPEED, state.speed / 2) };
    case 'help':
      return { ...state, help: true };
  }
}

/** @param elapsedMs by the viewer's clock since the last tick */
export function tickPlayer(
  { durationMs }: Pick<TrackLength, 'durationMs'>,
  state: PlayerState,
  elapsedMs: number,
): PlayerState {
  if (!state.playing) {
    return state;
  }
  const timeMs = Math.min(durationMs, state.timeMs + elapsedMs * state.speed);
  return { ...state, timeMs, playing: timeMs < durationMs };
}
