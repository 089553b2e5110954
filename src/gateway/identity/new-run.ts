/** A run as its login will have it, made from the login that asks for it. */
import { randomBytes } from 'node:crypto';
import { HoopError } from '../../errors.ts';
import { newSessionId } from '../../session-id.ts';
import type { Authenticated } from './identity.ts';
import type { RunOfLogin } from './run-of-login.ts';
import { runTargets } from './run-rights.ts';

/** What a run is asked for with; what it says of agent and reason was checked by the caller. */
export interface RunStart {
  /** Of the run's own key. */
  readonly jkt: string;
  readonly proof: string;
  readonly agent: string | undefined;
  /** Without its folder and its arguments. */
  readonly program: string | undefined;
  readonly reason: string | undefined;
  /** Names; undefined: all that the caller may reach. Never more than that. */
  readonly targets: readonly string[] | undefined;
}

/** A run within a run within a run is plausible; a hundred are a program that calls itself. */
const MAX_RUN_DEPTH = 16;

/** @throws HoopError HOOP_LIMIT */
export function newRun(
  who: Pick<Authenticated, 'run' | 'family' | 'principal' | 'jkt'>,
  start: RunStart,
  nowMs: number,
): RunOfLogin {
  const depth = (who.run?.depth ?? 0) + 1;
  if (depth > MAX_RUN_DEPTH) {
    throw new HoopError('HOOP_LIMIT', `runs are nested more than ${MAX_RUN_DEPTH} deep`);
  }
  const { agent, program, reason } = start;
  const targets = runTargets(start.targets, who.run?.targets);
  return {
    id: newSessionId(nowMs, randomBytes(16)),
    ...(who.run === undefined ? {} : { parent: who.run.id }),
    login: who.run === undefined ? who.family : who.run.login,
    loginKey: who.principal.loginKey ?? who.jkt,
    ...(agent === undefined ? {} : { agent }),
    ...(program === undefined ? {} : { program }),
    ...(reason === undefined ? {} : { reason }),
    ...(targets === undefined ? {} : { targets: [...targets] }),
    depth,
  };
}
