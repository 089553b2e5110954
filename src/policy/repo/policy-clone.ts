/**
 * The bare repository in which hoop keeps what it has fetched: fetching, checking the signature
 * of a commit, and reading its files straight from the object store (no work tree, so no
 * symlinks, filters or attributes of the repository have any effect).
 */
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HoopError } from '../../errors.ts';
import { isCleanClone } from './clean-clone.ts';
import { removeLeftovers } from './clone-leftovers.ts';
import { isIntact, parseListing, splitObjects, textsOf } from './commit-files.ts';
import { directoryBytes } from './directory-size.ts';
import { type GitOptions, type GitRun, git, runGit } from './git.ts';
import { type RemoteTag, tagsOf, tagsOn } from './remote-tags.ts';
import { branchRef, checkRepository } from './repository-url.ts';
import { type VerifiedCommit, verifyCommit } from './verify-commit.ts';

export interface CloneOptions {
  /** Directory of hoop's own; made if missing, 0700. */
  readonly dir: string;
  readonly branch: string;
  /** Text of the allowed-signers file. */
  readonly allowedSigners: string;
  readonly env: NodeJS.ProcessEnv;
  /** No other process uses the directory, and this one fetches when no other git of its runs. */
  readonly isAlone?: boolean;
  /** Instead of `runGit`, where others must not wait for a process to start. */
  readonly runGit?: typeof runGit | undefined;
  /** Of disk that the clone may take; default 128 MiB. */
  readonly maxBytes?: number | undefined;
}

export interface Verification {
  /** The commit is new here: a key that has expired by now no longer counts for it. */
  readonly isFresh: boolean;
  /** Asked for tags on the commit when nothing here signs it. */
  readonly repository?: string | undefined;
}

/** SHA-1 or SHA-256 object names. */
export const COMMIT_ID = /^([0-9a-f]{40}|[0-9a-f]{64})$/;

const MAX_CLONE_BYTES = 128 * 1024 * 1024;
const INCOMING = 'refs/hoop/incoming';
const NEW = 'refs/hoop/new-';
const ACCEPTED = 'refs/hoop/accepted';
/** Tags that may sign, by their objects: the names are whoever's who may push a tag. */
const KEPT_TAGS = 'refs/hoop/tags';

const FETCH: readonly string[] = [
  'fetch',
  '--quiet',
  '--no-auto-gc',
  '--no-write-fetch-head',
  '--no-recurse-submodules',
  '--no-tags',
  '--force',
];

export class PolicyClone {
  readonly #options: CloneOptions;
  readonly #gitDir: string;
  readonly #ref: string;
  /**
   * What was fetched last, and the commit that git said it is. A gateway asks every few seconds and
   * nearly always finds the same; each git that it starts copies the page tables of all its memory.
   */
  #incoming: { readonly object: string; readonly commit: string } | undefined;

  /** What is left when the clone was made anew: to do so again gives nothing back until it has grown. */
  #renewedBytes = 0;

  private constructor(options: CloneOptions) {
    this.#options = options;
    this.#ref = branchRef(options.branch);
    this.#gitDir = join(options.dir, 'policy.git');
  }

  static async open(options: CloneOptions, signal: AbortSignal): Promise<PolicyClone> {
    const clone = new PolicyClone(options);
    mkdirSync(options.dir, { recursive: true, mode: 0o700 });
    chmodSync(options.dir, 0o700);
    if (existsSync(join(clone.#gitDir, 'HEAD')) && !isCleanClone(clone.#gitDir)) {
      clone.#putAway();
    }
    if (!existsSync(join(clone.#gitDir, 'HEAD'))) {
      await clone.#create(signal);
    }
    clone.#removeLeftovers();
    return clone;
  }

  /**
   * Somebody has written there: no git is run on it. The next fetch brings everything again, and only
   * the commit that was in force is remembered, so that history still goes forward from it.
   */
  #putAway(): void {
    const accepted = acceptedIn(this.#gitDir);
    if (accepted !== undefined) {
      writeFileSync(this.#before, `${accepted}\n`, { mode: 0o600 });
    }
    const away = join(this.#options.dir, `unclean.${randomUUID()}`);
    renameSync(this.#gitDir, away);
    rmSync(away, { recursive: true, force: true });
  }

  get #before(): string {
    return join(this.#options.dir, 'accepted-before');
  }

  /** Beside, then in its place: another hoop may be doing the same. */
  async #create(signal: AbortSignal): Promise<void> {
    const fresh = await this.#init(signal);
    try {
      renameSync(fresh, this.#gitDir);
    } catch (error) {
      rmSync(fresh, { recursive: true, force: true });
      if (!existsSync(join(this.#gitDir, 'HEAD'))) {
        throw error;
      }
    }
  }

  async #init(signal: AbortSignal): Promise<string> {
    const { dir, env } = this.#options;
    const fresh = mkdtempSync(join(dir, 'policy.git.'));
    const args = ['init', '--quiet', '--bare', '--template='];
    await git({ gitDir: fresh, args, env, signal }, this.#options.runGit);
    return fresh;
  }

  /** The disk that a repository took with what never came into force is given back. */
  async #renew(signal: AbortSignal): Promise<void> {
    const { env, runGit: run } = this.#options;
    const accepted = await this.accepted(signal);
    const fresh = await this.#init(signal);
    try {
      if (accepted !== undefined) {
        const refs = [ACCEPTED, ...(await this.#tagsAt(accepted, signal))];
        const args = [...FETCH, this.#gitDir, ...refs.map((ref) => `${ref}:${ref}`)];
        await git({ gitDir: fresh, args, env, signal }, run);
      }
      this.#putAway();
      renameSync(fresh, this.#gitDir);
    } finally {
      rmSync(fresh, { recursive: true, force: true });
    }
  }

  #removeLeftovers(): void {
    const { dir, isAlone = false } = this.#options;
    removeLeftovers(dir, this.#gitDir, isAlone);
  }

  /** The newest commit of the branch, fetched. @throws HoopError HOOP_POLICY_FETCH */
  async fetch(repository: string, signal: AbortSignal): Promise<string> {
    this.#removeLeftovers();
    const ref = newRef();
    const refs = [`+${this.#ref}:${ref}`];
    await this.#at(repository, (source, config) => this.#fetch(source, refs, signal, config));
    return this.#tip(ref, signal);
  }

  /** The same from a bundle that the gateway sent. */
  async fetchBundle(bundle: Uint8Array, signal: AbortSignal): Promise<string> {
    this.#removeLeftovers();
    const file = join(this.#options.dir, `incoming.${randomUUID()}.bundle`);
    writeFileSync(file, bundle, { mode: 0o600 });
    try {
      const tags = tagsOf(await this.#git(['ls-remote', '--quiet', file], signal));
      const ref = newRef();
      await this.#fetch(file, [`+${this.#ref}:${ref}`, ...tags.map(keptTag)], signal);
      return await this.#tip(ref, signal);
    } finally {
      rmSync(file, { force: true });
    }
  }

  /**
   * Tags on the commit, by their objects. No others: whoever may push tags, and nothing else, would
   * fill the disk with them, or give one the name of a directory of others.
   */
  async #fetchTags(repository: string, commit: string, signal: AbortSignal): Promise<void> {
    await this.#at(repository, async (source, config) => {
      const listing = ['ls-remote', '--quiet', '--tags', '--end-of-options', source];
      const tags = tagsOn(commit, await this.#git(listing, signal, config));
      if (tags.length > 0) {
        await this.#fetch(source, tags.map(keptTag), signal, config);
      }
    });
  }

  async #at<T>(
    repository: string,
    use: (source: string, config: Pick<GitOptions, 'globalConfig'>) => Promise<T>,
  ): Promise<T> {
    const url = checkRepository(repository);
    if (!url.startsWith('file:')) {
      return use(url, {});
    }
    // git refuses repositories of other users, which a local policy repository may well be. The
    // setting counts only in a file that upload-pack reads as well.
    const globalConfig = join(this.#options.dir, `gitconfig.${randomUUID()}`);
    const path = fileURLToPath(url);
    const lines = [path, join(path, '.git')].map((one) => `\tdirectory = ${JSON.stringify(one)}\n`);
    writeFileSync(globalConfig, `[safe]\n${lines.join('')}`, { mode: 0o600 });
    try {
      return await use(url, { globalConfig });
    } finally {
      rmSync(globalConfig, { force: true });
    }
  }

  /** The history of the accepted commit, as one file that `fetchBundle` takes. */
  async bundle(commit: string, signal: AbortSignal): Promise<Uint8Array> {
    // A bundle carries refs, so the branch must point at just this commit.
    await this.#git(['update-ref', '--end-of-options', this.#ref, commit], signal);
    const tags = await this.#tagsAt(commit, signal);
    return this.#git(['bundle', 'create', '--quiet', '-', this.#ref, ...tags], signal);
  }

  /** The last accepted commit, undefined before the first. */
  async accepted(signal: AbortSignal): Promise<string | undefined> {
    const { status, stdout } = await this.#run(
      ['rev-parse', '--verify', '--quiet', ACCEPTED],
      signal,
    );
    return status === 0 ? stdout.toString('latin1').trim() : undefined;
  }

  /** The commit from which history may only go forward; it need not be here any more. */
  async lastAccepted(signal: AbortSignal): Promise<string | undefined> {
    return (await this.accepted(signal)) ?? commitIn(this.#before);
  }

  /** Makes the commit the one from which history may only go forward. */
  async accept(commit: string, signal: AbortSignal): Promise<void> {
    await this.#git(['update-ref', '--end-of-options', ACCEPTED, commit], signal);
    rmSync(this.#before, { force: true });
  }

  /** Whether `commit` is known here, and is `ancestor` or comes after it. */
  async follows(commit: string, ancestor: string, signal: AbortSignal): Promise<boolean> {
    requireCommitId(commit);
    requireCommitId(ancestor);
    const { status } = await this.#run(['merge-base', '--is-ancestor', ancestor, commit], signal);
    return status === 0;
  }

  /**
   * Checks the commit's signature, or that of a tag on it, against the allowed signers.
   * @throws HoopError HOOP_POLICY_UNSIGNED, HOOP_POLICY_SIGNER
   */
  async verify(
    commit: string,
    { isFresh, repository }: Verification,
    signal: AbortSignal,
  ): Promise<VerifiedCommit> {
    requireCommitId(commit);
    const { dir, allowedSigners } = this.#options;
    const check = async (): Promise<VerifiedCommit | HoopError> =>
      verifyCommit({
        ...{ dir, allowedSigners, commit, isFresh },
        tags: await this.#tagsAt(commit, signal),
        run: (args, more) => this.#run(args, signal, more),
      });
    const first = await check();
    if (!(first instanceof HoopError)) return first;
    if (repository === undefined) throw first;
    await this.#fetchTags(repository, commit, signal);
    const last = await check();
    if (last instanceof HoopError) throw last;
    return last;
  }

  /** Regular files of the commit that `wanted` accepts, as text. @throws HoopError HOOP_POLICY_INVALID */
  async readFiles(
    commit: string,
    wanted: (path: string) => boolean,
    signal: AbortSignal,
  ): Promise<Map<string, string>> {
    requireCommitId(commit);
    const listing = await this.#git(
      ['ls-tree', '-r', '-t', '-z', '-l', '--full-tree', '--end-of-options', commit],
      signal,
    );
    const { files, trees } = parseListing(listing, wanted);
    const above = [commit, `${commit}^{tree}`, ...trees];
    const names = [...above, ...files.map(({ object }) => object)];
    const input = Buffer.from(names.map((name) => `${name}\n`).join(''), 'latin1');
    const { stdout } = await this.#run(['cat-file', '--batch'], signal, { input });
    const objects = splitObjects(stdout);
    const [top, root] = objects;
    // Somebody else may have written to the clone.
    if (
      !objects.every(isIntact) ||
      !top?.content.toString('latin1').startsWith(`tree ${root?.object}\n`)
    ) {
      this.#putAway();
      await this.#create(signal);
      throw new HoopError('HOOP_POLICY_FETCH', 'the clone of the policy repository was damaged', {
        detail: 'An object in it is not what its name says.',
        hint: 'hoop has removed the clone; the next fetch brings everything again.',
      });
    }
    return textsOf(files, objects.slice(above.length));
  }

  /** Within the bounds of the disk; what a fetch that failed has left is given back. */
  async #fetch(
    source: string,
    refs: readonly string[],
    signal: AbortSignal,
    config: Pick<GitOptions, 'globalConfig'> = {},
  ): Promise<void> {
    const { env, runGit: run, maxBytes = MAX_CLONE_BYTES } = this.#options;
    const limit = { directory: this.#gitDir, bytes: maxBytes };
    const args = [...FETCH, '--end-of-options', source, ...refs];
    try {
      await git({ gitDir: this.#gitDir, args, env, signal, limit, ...config }, run);
    } catch (error) {
      signal.throwIfAborted();
      this.#removeLeftovers();
      if ((await directoryBytes(this.#gitDir)) > Math.max(maxBytes / 2, this.#renewedBytes)) {
        await this.#renew(signal);
        this.#renewedBytes = await directoryBytes(this.#gitDir);
      }
      throw error;
    }
  }

  /**
   * git says nothing, not even by its exit status, when it leaves a ref as it was because the source is
   * shallow: what it gave is in a ref that was not there before.
   */
  async #tip(ref: string, signal: AbortSignal): Promise<string> {
    const given = join(this.#gitDir, ref);
    if (!existsSync(given)) {
      throw new HoopError('HOOP_POLICY_FETCH', 'the policy repository does not give its branch', {
        detail: 'A shallow clone does not have the history that a policy needs.',
        hint: 'Fetch all of it there: git fetch --unshallow',
      });
    }
    renameSync(given, join(this.#gitDir, INCOMING));
    const object = commitIn(join(this.#gitDir, INCOMING));
    if (object !== undefined && object === this.#incoming?.object) {
      return this.#incoming.commit;
    }
    const tip = await this.#git(
      ['rev-parse', '--verify', '--quiet', '--end-of-options', `${INCOMING}^{commit}`],
      signal,
    );
    const commit = requireCommitId(tip.toString('latin1').trim());
    this.#incoming = object === undefined ? undefined : { object, commit };
    return commit;
  }

  /** Annotated tags on the commit, as full names. */
  async #tagsAt(commit: string, signal: AbortSignal): Promise<string[]> {
    const listing = await this.#git(
      [
        'for-each-ref',
        `--points-at=${commit}`,
        '--format=%(objecttype) %(refname)',
        'refs/tags',
        KEPT_TAGS,
      ],
      signal,
    );
    return listing
      .toString('utf8')
      .split('\n')
      .filter((line) => line.startsWith('tag refs/'))
      .map((line) => line.slice('tag '.length));
  }

  async #git(
    args: readonly string[],
    signal: AbortSignal,
    config: Pick<GitOptions, 'globalConfig'> = {},
  ): Promise<Buffer> {
    const { env, runGit: run } = this.#options;
    return git({ gitDir: this.#gitDir, args, env, signal, ...config }, run);
  }

  async #run(
    args: readonly string[],
    signal: AbortSignal,
    more: Pick<GitOptions, 'settings' | 'input' | 'program'> = {},
  ): Promise<GitRun> {
    const { env, runGit: run = runGit } = this.#options;
    return run({ gitDir: this.#gitDir, args, env, signal, ...more });
  }
}

function newRef(): string {
  return `${NEW}${randomUUID()}`;
}

function keptTag({ name, object }: RemoteTag): string {
  return `+${name}:${KEPT_TAGS}/${object}`;
}

/** Without git, of a clone that nobody vouches for. */
function acceptedIn(gitDir: string): string | undefined {
  const packed = new RegExp(`^([0-9a-f]{40,64}) ${ACCEPTED}$`, 'm');
  return commitIn(join(gitDir, ACCEPTED)) ?? packed.exec(textOf(join(gitDir, 'packed-refs')))?.[1];
}

function commitIn(path: string): string | undefined {
  const text = textOf(path).trim();
  return COMMIT_ID.test(text) ? text : undefined;
}

/** Empty when there is no such file. */
function textOf(path: string): string {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() ? readFileSync(path, 'utf8') : '';
}

function requireCommitId(text: string): string {
  if (!COMMIT_ID.test(text)) {
    throw new HoopError('HOOP_POLICY_FETCH', 'not a commit id');
  }
  return text;
}
