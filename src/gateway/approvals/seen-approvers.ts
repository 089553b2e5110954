/**
 * Which groups of approvers exist only in the policy: a group with a typo holds statements for
 * somebody who never comes. Of who logs in only the groups are kept that the policy in force names
 * as approvers; no person, no time, no other group.
 */

import { join } from 'node:path';
import * as z from 'zod';
import { type ApproverGroup, approverGroups } from '../../policy/approver-groups.ts';
import type { Policy } from '../../policy/policy.ts';
import type { Principal } from '../../policy/types.ts';
import { readDataFile, writeDataFile } from '../base/data-file.ts';
import { errorFields, type Log } from '../base/log.ts';
import { isOwnWord } from './approval-record.ts';

export interface SeenApproversOptions {
  readonly seen: readonly string[];
  /** @throws when it is not on disk */
  readonly write: (groups: readonly string[]) => void;
  /** Everybody who is logged in at this moment. */
  readonly loggedIn: () => Promise<readonly { readonly principal: Principal }[]>;
  readonly log: Log;
}

export class SeenApprovers {
  readonly #options: SeenApproversOptions;
  #named: ReadonlySet<string> = new Set();
  #seen: ReadonlySet<string>;

  constructor(options: SeenApproversOptions) {
    this.#options = options;
    this.#seen = new Set(options.seen);
  }

  /** Logs the groups of approvers that nobody is known to be in. Never rejects. */
  async policyChanged(policy: Policy): Promise<void> {
    const { loggedIn, log } = this.#options;
    const groups = approverGroups(policy);
    this.#named = new Set(groups.keys());
    try {
      // A group that the policy did not name before may be that of somebody who is here already.
      this.#add((await loggedIn()).map(({ principal }) => principal));
    } catch (error) {
      log.warn('approvers.not_looked_up', errorFields(error));
      return;
    }
    for (const [group, places] of groups) {
      if (this.#named.has(group) && !this.#seen.has(group)) {
        const where = places.map(({ file, line }) => `${file}:${line}`).join(', ');
        log.warn('approvers.never_logged_in', { group, where });
      }
    }
  }

  loggedIn(principal: Principal): void {
    this.#add([principal]);
  }

  groups(): readonly ApproverGroup[] {
    return [...this.#named].map((group) => ({ group, hasLoggedIn: this.#seen.has(group) }));
  }

  #add(principals: readonly Principal[]): void {
    const deciding = principals.filter((who) => who.kind === 'person' && isOwnWord(who));
    const seen = [...this.#seen, ...deciding.flatMap(({ groups }) => groups)];
    const next = new Set(seen.filter((group) => this.#named.has(group)));
    if (next.size === this.#seen.size && [...next].every((group) => this.#seen.has(group))) {
      return;
    }
    this.#seen = next;
    try {
      this.#options.write([...next].sort());
    } catch (error) {
      // It only warns: nobody is kept from logging in for it.
      this.#options.log.warn('approvers.not_kept', errorFields(error));
    }
  }
}

/** `seen-approvers.json` in the data directory: which groups of approvers somebody has logged in with. */
const File = z.strictObject({ v: z.literal(1), groups: z.array(z.string()).readonly() });

export function seenApproversPath(dataDirectory: string): string {
  return join(dataDirectory, 'seen-approvers.json');
}

/** @throws HOOP_LOCAL_STATE when it is not what was written */
export function readSeenApprovers(path: string): readonly string[] {
  const file = readDataFile(path, File, {
    detail: 'It records which approver groups somebody has logged in with, for warnings.',
    hint: 'Delete the file: it fills again as people log in.',
  });
  return file?.groups ?? [];
}

/** On disk when this returns. */
export function writeSeenApprovers(path: string, groups: readonly string[]): void {
  writeDataFile(path, { v: 1, groups } satisfies z.infer<typeof File>);
}
