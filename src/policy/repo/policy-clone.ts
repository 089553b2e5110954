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
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorCode } from '../../error-code.ts';
import { HoopError } from '../../errors.ts';
import { withoutExpiredKeys } from './allowed-signers.ts';
import { isCleanClone } from './clean-clone.ts';
import { parseListing, splitBlobs } from './commit-files.ts';
import {
  commitTime,
  hasSshSignature,
  signerOf,
  unsigned,
  wrongSigner,
} from './commit-signature.ts';
import { GIT_TIMEOUT_MS, type GitOptions, type GitRun, git, runGit } from './git.ts';
import { branchRef, checkRepository } from './repository-url.ts';

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
}

export interface VerifiedCommit {
  readonly commit: string;
  readonly committedAt: Date;
  /** Principal of the key, from the allowed-signers file. */
  readonly signer: string;
}

/** SHA-1 or SHA-256 object names. */
export const COMMIT_ID = /^([0-9a-f]{40}|[0-9a-f]{64})$/;

const STALE_LOCK_MS = 2 * GIT_TIMEOUT_MS;
const INCOMING = 'refs/hoop/incoming';
const ACCEPTED = 'refs/hoop/accepted';
/** Tags on the accepted commit, by their objects: what signs it stays when the repository drops them. */
const KEPT_TAGS = 'refs/hoop/tags';

export class PolicyClone {
  readonly #options: CloneOptions;
  readonly #gitDir: string;
  readonly #ref: string;
  /**
   * What was fetched last, and the commit that git said it is. A gateway asks every few seconds and
   * nearly always finds the same; each git that it starts copies the page tables of all its memory.
   */
  #incoming: { readonly object: string; readonly commit: string } | undefined;

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
    const { dir, env } = this.#options;
    const fresh = mkdtempSync(join(dir, 'policy.git.'));
    const args = ['init', '--quiet', '--bare', '--template='];
    await git({ gitDir: fresh, args, env, signal }, this.#options.runGit);
    try {
      renameSync(fresh, this.#gitDir);
    } catch (error) {
      rmSync(fresh, { recursive: true, force: true });
      if (!existsSync(join(this.#gitDir, 'HEAD'))) {
        throw error;
      }
    }
  }

  /**
   * What a git that was stopped or killed has left: it may be stopped before it knows that it has the
   * lock. Nobody else would ever remove it, and no policy would come into force any more. Where others
   * use the directory, only when no git of theirs can have it any more.
   */
  #removeStaleLocks(): void {
    const { isAlone = false } = this.#options;
    const refs = join(this.#gitDir, 'refs');
    for (const path of [...locksIn(this.#gitDir), ...locksIn(refs, { recursive: true })]) {
      const stat = lstatSync(path, { throwIfNoEntry: false });
      if (stat !== undefined && (isAlone || Date.now() - stat.mtimeMs > STALE_LOCK_MS)) {
        rmSync(path, { force: true });
      }
    }
  }

  /** The newest commit of the branch, fetched. @throws HoopError HOOP_POLICY_FETCH */
  async fetch(repository: string, signal: AbortSignal): Promise<string> {
    this.#removeStaleLocks();
    const url = checkRepository(repository);
    if (!url.startsWith('file:')) {
      return this.#fetch(url, signal);
    }
    // git refuses repositories of other users, which a local policy repository may well be. The
    // setting counts only in a file that upload-pack reads as well.
    const config = join(this.#options.dir, `gitconfig.${randomUUID()}`);
    const path = fileURLToPath(url);
    const lines = [path, join(path, '.git')].map((one) => `\tdirectory = ${JSON.stringify(one)}\n`);
    writeFileSync(config, `[safe]\n${lines.join('')}`, { mode: 0o600 });
    try {
      return await this.#fetch(url, signal, { globalConfig: config });
    } finally {
      rmSync(config, { force: true });
    }
  }

  /** The same from a bundle that the gateway sent. */
  async fetchBundle(bundle: Uint8Array, signal: AbortSignal): Promise<string> {
    this.#removeStaleLocks();
    const file = join(this.#options.dir, `incoming.${randomUUID()}.bundle`);
    writeFileSync(file, bundle, { mode: 0o600 });
    try {
      return await this.#fetch(file, signal, { keptTags: true });
    } finally {
      rmSync(file, { force: true });
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
   * @param fresh - now, when the commit is new here: expired keys no longer count for it.
   * @throws HoopError HOOP_POLICY_UNSIGNED, HOOP_POLICY_SIGNER
   */
  async verify(
    commit: string,
    fresh: Date | undefined,
    signal: AbortSignal,
  ): Promise<VerifiedCommit> {
    requireCommitId(commit);
    const file = join(this.#options.dir, `allowed-signers.${randomUUID()}`);
    const signers = fresh
      ? withoutExpiredKeys(this.#options.allowedSigners, fresh)
      : this.#options.allowedSigners;
    writeFileSync(file, signers, { mode: 0o600 });
    try {
      return await this.#verifyWith(file, commit, signal);
    } finally {
      rmSync(file, { force: true });
    }
  }

  /** Regular files of the commit that `wanted` accepts, as text. @throws HoopError HOOP_POLICY_INVALID */
  async readFiles(
    commit: string,
    wanted: (path: string) => boolean,
    signal: AbortSignal,
  ): Promise<Map<string, string>> {
    requireCommitId(commit);
    const listing = await this.#git(
      ['ls-tree', '-r', '-z', '-l', '--full-tree', '--end-of-options', commit],
      signal,
    );
    const entries = parseListing(listing, wanted);
    const input = Buffer.from(entries.map(({ object }) => `${object}\n`).join(''), 'latin1');
    const blobs = await this.#run(['cat-file', '--batch'], signal, { input });
    return splitBlobs(blobs.stdout, entries);
  }

  /** @param keptTags those of the gateway's clone come along, of a bundle; they say nothing by themselves, either */
  async #fetch(
    source: string,
    signal: AbortSignal,
    { globalConfig, keptTags = false }: { globalConfig?: string; keptTags?: boolean } = {},
  ): Promise<string> {
    const args = [
      'fetch',
      '--quiet',
      '--no-auto-gc',
      '--no-write-fetch-head',
      '--no-recurse-submodules',
      '--no-tags',
      '--force',
      '--end-of-options',
      source,
      `+${this.#ref}:${INCOMING}`,
      // A signature may be on a tag. Forced: a tag says nothing by itself.
      '+refs/tags/*:refs/tags/*',
      ...(keptTags ? [`+${KEPT_TAGS}/*:${KEPT_TAGS}/*`] : []),
    ];
    await this.#fetchRefs(args, signal, globalConfig === undefined ? {} : { globalConfig });
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

  /**
   * Tags that the repository does not have any more stay here, and one may stand where a new one wants
   * a directory: whoever may push a tag, and nothing else, could keep each policy after that from
   * coming into force. So with tags here a fetch that failed is tried without the old ones.
   */
  async #fetchRefs(
    args: readonly string[],
    signal: AbortSignal,
    config: Pick<GitOptions, 'globalConfig'>,
  ): Promise<void> {
    const { env, runGit: run = runGit } = this.#options;
    const options = { gitDir: this.#gitDir, env, signal, ...config };
    const first = await run({ ...options, args });
    if (first.status === 0) return;
    const [command = '', ...rest] = args;
    const again = { ...options, args: [command, '--prune', ...rest] };
    const last = (await this.#keepTags(signal)) ? await run(again) : first;
    await git(again, async () => last);
  }

  /** @returns whether there are tags here */
  async #keepTags(signal: AbortSignal): Promise<boolean> {
    const all = await this.#git(['for-each-ref', '--count=1', 'refs/tags'], signal);
    if (all.length === 0) return false;
    const accepted = await this.accepted(signal);
    for (const tag of accepted === undefined ? [] : await this.#tagsAt(accepted, signal)) {
      const object = await this.#git(['rev-parse', '--verify', '--end-of-options', tag], signal);
      const id = requireCommitId(object.toString('latin1').trim());
      await this.#git(['update-ref', '--end-of-options', `${KEPT_TAGS}/${id}`, id], signal);
    }
    return true;
  }

  async #verifyWith(
    signersFile: string,
    commit: string,
    signal: AbortSignal,
  ): Promise<VerifiedCommit> {
    const settings = [`gpg.ssh.allowedSignersFile=${signersFile}`];
    const raw = (await this.#git(['cat-file', 'commit', commit], signal)).toString('utf8');
    const committedAt = commitTime(raw);
    let refused: GitRun | undefined;
    if (hasSshSignature(raw)) {
      const check = await this.#run(['verify-commit', '--raw', commit], signal, { settings });
      if (check.status === 0) {
        return { commit, committedAt, signer: signerOf(check.stderr) };
      }
      refused = check;
    }
    for (const tag of await this.#tagsAt(commit, signal)) {
      const text = await this.#run(['cat-file', 'tag', tag], signal);
      if (text.status !== 0 || !text.stdout.includes('-----BEGIN SSH SIGNATURE-----')) {
        continue;
      }
      const check = await this.#run(['verify-tag', '--raw', tag], signal, { settings });
      if (check.status === 0) {
        return { commit, committedAt, signer: signerOf(check.stderr) };
      }
      refused = check;
    }
    throw refused ? wrongSigner(commit, refused) : unsigned(commit);
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

  async #git(args: readonly string[], signal: AbortSignal): Promise<Buffer> {
    const { env, runGit: run } = this.#options;
    return git({ gitDir: this.#gitDir, args, env, signal }, run);
  }

  async #run(
    args: readonly string[],
    signal: AbortSignal,
    more: { settings?: readonly string[]; input?: Uint8Array } = {},
  ): Promise<GitRun> {
    const { env, runGit: run = runGit } = this.#options;
    return run({ gitDir: this.#gitDir, args, env, signal, ...more });
  }
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

/** What goes while it is read is not among them. By hand: the first `globSync` of a process takes 10 ms. */
function locksIn(directory: string, { recursive = false } = {}): readonly string[] {
  try {
    return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
      const path = join(directory, entry.name);
      if (recursive && entry.isDirectory()) return locksIn(path, { recursive });
      return entry.name.endsWith('.lock') ? [path] : [];
    });
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
