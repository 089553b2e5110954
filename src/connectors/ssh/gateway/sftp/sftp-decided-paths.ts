/**
 * From the paths of an sftp request to those that may be touched: where each leads on the target,
 * what the policy says to that place, and, after an approval, whether it still leads there. What is
 * sent to the target is the outcome and never the path that was asked for.
 */

import type { Refusal } from '../../../../policy/types.ts';
import type { SftpOperation } from '../../policy/types.ts';
import { STATUS } from '../../protocol/sftp/packet-types.ts';
import { type Resolution, resolvePath } from './sftp-paths.ts';
import { fromBytes, type SftpQuestions, toBytes } from './sftp-questions.ts';
import type { SftpChannel } from './sftp-types.ts';

export interface DecidedPathsOptions {
  readonly channel: Pick<SftpChannel, 'decide'>;
  readonly questions: SftpQuestions;
  readonly deny: (id: number, refusal: Refusal) => void;
  readonly status: (id: number, code: number, message: string) => void;
}

/** A path of a request, and whether a link at its end is followed by what is done with it. */
interface AskedPath {
  readonly path: Uint8Array;
  readonly follow: boolean;
}

export interface PathsQuestion {
  readonly id: number;
  readonly at: number;
  readonly operations: readonly SftpOperation[];
  /** One or two. */
  readonly asked: readonly AskedPath[];
}

export interface DecidedPaths {
  /** Resolved; strings of bytes. */
  readonly paths: readonly string[];
  /** For the recording. `asked`: where it leads elsewhere than it says. */
  readonly said: { readonly path: string; readonly to?: string; readonly asked?: string };
}

const SLASH = 0x2f;

export class SftpDecidedPaths {
  readonly #options: DecidedPathsOptions;
  /** Where relative paths begin: sftp-server changes its directory never. undefined: unknown. */
  #home: string | undefined;

  constructor(options: DecidedPathsOptions) {
    this.#options = options;
  }

  /** Once, before the first request. */
  async start(): Promise<void> {
    const reply = await this.#options.questions.askFor({ type: 'realpath', path: toBytes('.') });
    const [entry] = reply.type === 'name' ? reply.entries : [];
    const home = entry === undefined ? undefined : fromBytes(entry.name);
    this.#home = home?.startsWith('/') === true ? home : undefined;
  }

  /** @returns where the paths lead, or undefined: the client has its answer */
  async decide(question: PathsQuestion): Promise<DecidedPaths | undefined> {
    const { id, at, operations, asked } = question;
    const resolutions = await this.#resolve(question);
    const [path = '/', to] = resolutions.map((resolution) => shown(resolution.path));
    let hasWaited = false;
    for (const operation of operations) {
      const verdict = await this.#options.channel.decide(
        { kind: 'file', operation, path, ...(to === undefined ? {} : { to }) },
        at,
      );
      if (verdict.effect === 'refuse') {
        this.#options.deny(id, verdict.refusal);
        return undefined;
      }
      hasWaited ||= (verdict.approvals ?? []).length > 0;
    }
    // Only now: what may not be touched does not say either whether it is there.
    const failure = resolutions.find((resolution) => resolution.failure !== undefined)?.failure;
    if (failure !== undefined) {
      this.#options.status(id, failure.code, failure.message);
      return undefined;
    }
    const paths = resolutions.map((resolution) => resolution.path);
    if (hasWaited) {
      const now = await this.#resolve(question);
      if (now.some((resolution, index) => resolution.path !== paths[index])) {
        this.#options.status(
          id,
          STATUS.permissionDenied,
          'the path no longer leads to what was approved',
        );
        return undefined;
      }
    }
    return { paths, said: said(asked, paths) };
  }

  async #resolve({ asked, operations }: PathsQuestion): Promise<readonly Resolution[]> {
    const { questions } = this.#options;
    const resolved: Resolution[] = [];
    for (const { path, follow } of asked) {
      const isText = operations[0] === 'symlink' && resolved.length === 1;
      const base = isText ? parentOf(resolved[0]?.path ?? '/') : this.#home;
      if (base === undefined && path[0] !== SLASH) {
        const failure = { code: STATUS.noSuchFile, message: 'the target does not say where it is' };
        resolved.push({ path: `/${fromBytes(path)}`, failure });
        continue;
      }
      const options = { base: base ?? '/', follow, questions };
      const resolution = await resolvePath(fromBytes(path), options);
      // A link may lead nowhere.
      resolved.push(isText ? { path: resolution.path } : resolution);
    }
    return resolved;
  }
}

/** For policy, people and the recording. */
function shown(path: string): string {
  return Buffer.from(path, 'latin1').toString('utf8');
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

function said(asked: PathsQuestion['asked'], paths: readonly string[]): DecidedPaths['said'] {
  const [path = '/', to] = paths.map(shown);
  const first = shown(fromBytes(asked[0]?.path ?? toBytes('')));
  return {
    path,
    ...(to === undefined ? {} : { to }),
    ...(first === path ? {} : { asked: first }),
  };
}
