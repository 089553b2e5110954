/**
 * `groupless-logins.json` in the data directory: identity providers whose newest login had no claim
 * with groups, and which claim that is. No person is in it.
 */
import { join } from 'node:path';
import * as z from 'zod';
import { HoopError } from '../../errors.ts';
import type { CheckResult } from '../base/check-result.ts';
import { keptForWarnings, readDataFile, writeDataFile } from '../base/data-file.ts';
import { errorFields, type Log } from '../base/log.ts';

const File = z.strictObject({ v: z.literal(1), claims: z.record(z.string(), z.string()) });
type Claims = z.infer<typeof File>['claims'];

const HINT =
  'Configure the provider to put the groups into this client’s ID tokens (a mapper or setting there, or a scope: `scopes` in hoop.yaml), or name the claim that has them (`claims.groups`). Then log in again.';

export class GrouplessLogins {
  readonly #path: string;
  readonly #log: Log;
  #claims: Claims;

  constructor(dataDirectory: string, log: Log) {
    this.#path = pathIn(dataDirectory);
    this.#log = log;
    this.#claims = keptForWarnings(() => read(this.#path), {}, log);
  }

  /** @param missing the claim that the ID token did not have */
  loggedIn(issuer: string, missing: string | undefined): void {
    if (missing !== undefined) {
      this.#log.warn('login.without_groups', { issuer, claim: missing, hint: HINT });
    }
    if (this.#claims[issuer] === missing) {
      return;
    }
    const { [issuer]: _, ...others } = this.#claims;
    this.#claims = missing === undefined ? others : { ...others, [issuer]: missing };
    try {
      writeDataFile(this.#path, { v: 1, claims: this.#claims } satisfies z.infer<typeof File>);
    } catch (error) {
      // It only warns: nobody is kept from logging in for it.
      this.#log.warn('login.not_kept', errorFields(error));
    }
  }
}

/** @returns the check of a provider, with a warning when its newest login had no groups */
export function withGroupless(
  result: CheckResult,
  issuer: string,
  dataDirectory: string,
): CheckResult {
  if (!result.ok) {
    return result;
  }
  const warned = (text: string, hint: string): CheckResult => ({
    ...result,
    warning: true,
    text: `${result.text}; ${text}`,
    hint,
  });
  try {
    const claim = read(pathIn(dataDirectory))[issuer];
    const text = `its newest login had no "${claim}" claim, so it got no access that the policy gives to groups`;
    return claim === undefined ? result : warned(text, HINT);
  } catch (error) {
    if (!(error instanceof HoopError)) throw error;
    return warned(error.message, error.hint ?? '');
  }
}

function pathIn(dataDirectory: string): string {
  return join(dataDirectory, 'groupless-logins.json');
}

/** @throws HOOP_LOCAL_STATE when it is not what was written */
function read(path: string): Claims {
  const file = readDataFile(path, File, {
    detail: 'It records which identity providers send no groups, for warnings.',
    hint: 'Delete the file: it fills again as people log in.',
  });
  return file?.claims ?? {};
}
