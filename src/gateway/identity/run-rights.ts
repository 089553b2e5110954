/**
 * What the login of a run is less than the login that it was made from: it opens sessions and looks
 * after them, and nothing else. Who holds a run's token may be a program that somebody else talks
 * to, so it decides about nothing and reads nothing that is not its own.
 */

import type { WhoamiReply } from '../../api/login.ts';
import { HoopError } from '../../errors.ts';
import type { Principal } from '../../policy/types.ts';
import type { RunOfLogin } from './run-of-login.ts';

/** The groups stay, since they say what the person may do; what they give beyond targets does not. */
export function runPrincipal(principal: Principal, { agent, targets }: RunOfLogin): Principal {
  return {
    ...principal,
    roles: [],
    ...(agent === undefined ? {} : { agent }),
    ...(targets === undefined ? {} : { targets }),
  };
}

/** Of those that a run asks for, what the run that starts it has; undefined: all that there are. */
export function runTargets(
  asked: readonly string[] | undefined,
  outer: readonly string[] | undefined,
): readonly string[] | undefined {
  return asked === undefined || outer === undefined
    ? (asked ?? outer)
    : asked.filter((name) => outer.includes(name));
}

export function shownRun({ id, parent }: RunOfLogin): NonNullable<WhoamiReply['run']> {
  return { id, ...(parent === undefined ? {} : { parent }) };
}

/** @param what it tried, e.g. `approve requests` */
export function runRefused(what: string): HoopError {
  return new HoopError('HOOP_RUN_REFUSED', `a run cannot ${what}`, {
    detail:
      'A run’s login opens sessions and looks after them; everything else is for whoever started the run.',
    hint: 'Do it outside the run, with your own login.',
  });
}
