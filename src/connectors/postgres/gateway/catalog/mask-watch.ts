/**
 * Looks for the masked columns of every target before anybody asks: a mask is bound to a column for
 * good the first time that its name is found, so that must not wait for the first session; and an
 * operator should hear of a name that stands for nothing before the column is missed.
 */

import { errorFields, type Log } from '../../../../gateway/base/log.ts';
import type { TargetServices } from '../../../../gateway/connector.ts';
import { maskedColumns } from '../../../../policy/masked-columns.ts';
import type { Policy } from '../../../../policy/policy.ts';
import { isDatabase, type PostgresPolicyTarget } from '../../policy/target.ts';
import { resolvePostgresTarget } from '../target/resolve-target.ts';
import type { TargetCatalogs } from './target-catalogs.ts';

export interface MaskWatchOptions {
  readonly services: TargetServices;
  readonly catalogs: TargetCatalogs;
  readonly log: Log;
}

/** Statements make the catalog be read within seconds; this is for targets without any. */
const LOOK_EVERY_MS = 10 * 60_000;
/** A target that could not be reached. */
const TRY_AGAIN_MS = 60_000;

export class MaskWatch implements Disposable {
  readonly #options: MaskWatchOptions;
  #policy: Policy | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  #isClosed = false;
  /** Targets of which it was said that they could not be looked at. */
  readonly #unseen = new Set<string>();

  constructor(options: MaskWatchOptions) {
    this.#options = options;
  }

  policyChanged(policy: Policy): void {
    this.#policy = policy;
    this.#lookNow();
  }

  /** A look that is under way ends with the catalogs' connections. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #lookNow(): void {
    clearTimeout(this.#timer);
    this.#looking = this.#looking.then(() => this.#look());
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    const policy = this.#policy;
    if (this.#isClosed || policy === undefined) {
      return;
    }
    const targets = targetsWithMasks(policy);
    this.#keepUnseen(targets);
    for (const target of targets) {
      if (!this.#isClosed) await this.#lookAt(target);
    }
    if (!this.#isClosed && targets.length > 0) {
      clearTimeout(this.#timer);
      const waitMs = this.#unseen.size > 0 ? TRY_AGAIN_MS : LOOK_EVERY_MS;
      this.#timer = setTimeout(() => this.#lookNow(), waitMs);
      this.#timer.unref();
    }
  }

  #keepUnseen(targets: readonly PostgresPolicyTarget[]): void {
    for (const name of this.#unseen) {
      if (!targets.some((target) => target.name === name)) this.#unseen.delete(name);
    }
  }

  async #lookAt(target: PostgresPolicyTarget): Promise<void> {
    const { services, catalogs, log } = this.#options;
    try {
      const resolved = await resolvePostgresTarget(services, target, {
        groups: someGroups(target),
      });
      await catalogs.source(resolved).current();
      this.#unseen.delete(target.name);
    } catch (error) {
      if (!this.#unseen.has(target.name) && !this.#isClosed) {
        log.warn('mask.not_looked_up', { target: target.name, ...errorFields(error) });
      }
      this.#unseen.add(target.name);
    }
  }
}

export function targetsWithMasks(policy: Policy): PostgresPolicyTarget[] {
  return [...policy.targets.values()]
    .filter(isDatabase)
    .filter((target) => maskedColumns(policy, target).length > 0);
}

/** Those of the credential that everybody gets, or else of the first one: all of them see the catalog. */
export function someGroups(target: PostgresPolicyTarget): readonly string[] {
  return target.credential === undefined ? (target.credentials[0]?.groups ?? []) : [];
}
