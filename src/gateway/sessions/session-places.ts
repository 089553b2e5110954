/** How many live sessions one principal may have, so that nobody takes the places of all others. */
import { HoopError } from '../../errors.ts';
import type { Authenticated } from '../identity/identity.ts';

/** Twenty runs at once, of which some have several targets, and those of the person beside them. */
const MAX_PER_PERSON = 50;
/** Of these, all runs together: a program that opens one after the other leaves some to its person. */
const MAX_OF_RUNS = 40;
/** A job counts as a person does, by its login: others of the same entry lose nothing by it. */
const MAX_PER_JOB = 50;
/**
 * All jobs with one subject, such as those of one branch. Whoever may start jobs may make as many
 * logins as they like, so there is a bound beside that of the login; it leaves room for others.
 */
const MAX_PER_WORKLOAD = 200;
/** Each live session costs files, timers and up to 16 MiB that are not agreed on yet. */
const MAX_ALL = 500;

interface Holder {
  readonly principal: { readonly issuer: string; readonly sub: string };
  /** Id of the login; of a run, of the one that it was made from in the end. */
  readonly login: string;
  /** Id of the run that has it. */
  readonly run: string | undefined;
}

export class SessionPlaces {
  /** Sessions that are being made: they count towards the caps. */
  readonly #starting = new Set<Holder>();

  /**
   * Takes a place.
   * @returns how to give it back, once the session is among the live ones or has failed
   * @throws HoopError HOOP_LIMIT
   */
  reserve(
    who: Pick<Authenticated, 'principal' | 'family' | 'run'>,
    live: readonly Holder[],
  ): () => void {
    const { principal, run } = who;
    const holder: Holder = { principal, login: run?.login ?? who.family, run: run?.id };
    const all: readonly Holder[] = [...live, ...this.#starting];
    const own = all.filter((other) => isSamePrincipal(other.principal, principal));
    if (principal.kind === 'workload') {
      const ofJob = own.filter(({ login }) => login === holder.login);
      checkRuns(holder, ofJob, 'job');
      if (ofJob.length >= MAX_PER_JOB || own.length >= MAX_PER_WORKLOAD || all.length >= MAX_ALL) {
        throw tooMany(
          `One job may have ${MAX_PER_JOB}, all jobs of one workload ${MAX_PER_WORKLOAD}, the gateway ${MAX_ALL}.`,
        );
      }
    } else {
      checkRuns(holder, own, 'person');
      if (own.length >= MAX_PER_PERSON || all.length >= MAX_ALL) {
        throw tooMany(`One person may have ${MAX_PER_PERSON}, the gateway ${MAX_ALL}.`);
      }
    }
    this.#starting.add(holder);
    return () => {
      this.#starting.delete(holder);
    };
  }
}

export function isSamePrincipal(a: Holder['principal'], b: Holder['principal']): boolean {
  return a.issuer === b.issuer && a.sub === b.sub;
}

function checkRuns({ run }: Holder, own: readonly Holder[], whose: 'job' | 'person'): void {
  if (run !== undefined && own.filter((other) => other.run !== undefined).length >= MAX_OF_RUNS) {
    throw tooMany(`All runs of one ${whose} may have ${MAX_OF_RUNS}, to leave room for others.`);
  }
}

function tooMany(detail: string): HoopError {
  return new HoopError('HOOP_LIMIT', 'too many sessions are open', {
    detail,
    hint: 'End one of yours; `hoop sessions list` shows them.',
  });
}
