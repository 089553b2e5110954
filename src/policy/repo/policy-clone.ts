/**
 * The bare repository in which hoop keeps what it has fetched: fetching, checking the signature
 * of a commit, and reading its files straight from the object store (no work tree, so no
 * symlinks, filters or attributes of the repository have any effect).
 */
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HoopError } from '../../errors.ts';
import { withoutExpiredKeys } from './allowed-signers.ts';
import { firstLines, type GitRun, git, runGit } from './git.ts';
import { branchRef, checkRepository } from './repository-url.ts';

export interface CloneOptions {
  /** Directory of hoop's own; made if missing, 0700. */
  readonly dir: string;
  readonly branch: string;
  /** Text of the allowed-signers file. */
  readonly allowedSigners: string;
  readonly env: NodeJS.ProcessEnv;
}

export interface VerifiedCommit {
  readonly commit: string;
  readonly committedAt: Date;
  /** Principal of the key, from the allowed-signers file. */
  readonly signer: string;
}

export interface TreeFile {
  readonly path: string;
  readonly object: string;
  readonly size: number;
}

/** Files in the repository, ours or not. */
const MAX_TREE_ENTRIES = 5000;
/** Bytes of one policy file, and of all. */
const MAX_FILE_BYTES = 1024 * 1024;
const MAX_TOTAL_BYTES = 16 * 1024 * 1024;

/** SHA-1 or SHA-256 object names. */
export const COMMIT_ID = /^([0-9a-f]{40}|[0-9a-f]{64})$/;

const INCOMING = 'refs/hoop/incoming';
const ACCEPTED = 'refs/hoop/accepted';

export class PolicyClone {
  readonly #options: CloneOptions;
  readonly #gitDir: string;
  readonly #ref: string;

  private constructor(options: CloneOptions) {
    this.#options = options;
    this.#ref = branchRef(options.branch);
    this.#gitDir = join(options.dir, 'policy.git');
  }

  static async open(options: CloneOptions, signal: AbortSignal): Promise<PolicyClone> {
    const clone = new PolicyClone(options);
    mkdirSync(options.dir, { recursive: true, mode: 0o700 });
    chmodSync(options.dir, 0o700);
    if (!existsSync(join(clone.#gitDir, 'HEAD'))) {
      await clone.#create(signal);
    }
    return clone;
  }

  /** Beside, then in its place: another hoop may be doing the same. */
  async #create(signal: AbortSignal): Promise<void> {
    const { dir, env } = this.#options;
    const fresh = mkdtempSync(join(dir, 'policy.git.'));
    const args = ['init', '--quiet', '--bare', '--template='];
    await git({ gitDir: fresh, args, env, signal });
    try {
      renameSync(fresh, this.#gitDir);
    } catch (error) {
      rmSync(fresh, { recursive: true, force: true });
      if (!existsSync(join(this.#gitDir, 'HEAD'))) {
        throw error;
      }
    }
  }

  /** The newest commit of the branch, fetched. @throws HoopError HOOP_POLICY_FETCH */
  async fetch(repository: string, signal: AbortSignal): Promise<string> {
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
      return await this.#fetch(url, signal, config);
    } finally {
      rmSync(config, { force: true });
    }
  }

  /** The same from a bundle that the gateway sent. */
  async fetchBundle(bundle: Uint8Array, signal: AbortSignal): Promise<string> {
    const file = join(this.#options.dir, `incoming.${randomUUID()}.bundle`);
    writeFileSync(file, bundle, { mode: 0o600 });
    try {
      return await this.#fetch(file, signal);
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

  /** Makes the commit the one from which history may only go forward. */
  async accept(commit: string, signal: AbortSignal): Promise<void> {
    await this.#git(['update-ref', '--end-of-options', ACCEPTED, commit], signal);
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

  async #fetch(source: string, signal: AbortSignal, globalConfig?: string): Promise<string> {
    await git({
      gitDir: this.#gitDir,
      env: this.#options.env,
      signal,
      ...(globalConfig === undefined ? {} : { globalConfig }),
      args: [
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
      ],
    });
    const tip = await this.#git(
      ['rev-parse', '--verify', '--quiet', '--end-of-options', `${INCOMING}^{commit}`],
      signal,
    );
    return requireCommitId(tip.toString('latin1').trim());
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
      ['for-each-ref', `--points-at=${commit}`, '--format=%(objecttype) %(refname)', 'refs/tags'],
      signal,
    );
    return listing
      .toString('utf8')
      .split('\n')
      .filter((line) => line.startsWith('tag refs/tags/'))
      .map((line) => line.slice('tag '.length));
  }

  async #git(args: readonly string[], signal: AbortSignal): Promise<Buffer> {
    return git({ gitDir: this.#gitDir, args, env: this.#options.env, signal });
  }

  async #run(
    args: readonly string[],
    signal: AbortSignal,
    more: { settings?: readonly string[]; input?: Uint8Array } = {},
  ): Promise<GitRun> {
    return runGit({ gitDir: this.#gitDir, args, env: this.#options.env, signal, ...more });
  }
}

function requireCommitId(text: string): string {
  if (!COMMIT_ID.test(text)) {
    throw new HoopError('HOOP_POLICY_FETCH', 'not a commit id');
  }
  return text;
}

/** Only the header counts: a message can contain anything. */
function hasSshSignature(rawCommit: string): boolean {
  const header = rawCommit.slice(0, rawCommit.indexOf('\n\n'));
  return /^gpgsig(-sha256)? -----BEGIN SSH SIGNATURE-----$/m.test(header);
}

function commitTime(rawCommit: string): Date {
  const seconds = /^committer .* ([0-9]+) [+-][0-9]{4}$/m.exec(rawCommit)?.[1] ?? '0';
  return new Date(Number(seconds) * 1000);
}

/** For people only: what counts was the exit status. */
function signerOf(stderr: string): string {
  return /Good "git" signature for (.+?) with /.exec(stderr)?.[1] ?? 'unknown';
}

function unsigned(commit: string): HoopError {
  return new HoopError(
    'HOOP_POLICY_UNSIGNED',
    `policy commit ${commit.slice(0, 12)} is not signed`,
    {
      detail: 'Neither the commit nor a tag on it carries an SSH signature.',
      hint: 'Sign it: git -c gpg.format=ssh -c user.signingkey=KEY commit --amend -S',
    },
  );
}

function wrongSigner(commit: string, check: GitRun): HoopError {
  return new HoopError(
    'HOOP_POLICY_SIGNER',
    `policy commit ${commit.slice(0, 12)} is not signed by an allowed key`,
    {
      detail: firstLines(check.stderr) || 'The signature does not verify.',
      hint: 'The key must be in the allowed-signers file and must not have expired.',
    },
  );
}

/** `<mode> <type> <object> <size>\t<path>\0`, https://git-scm.com/docs/git-ls-tree */
function parseListing(listing: Buffer, wanted: (path: string) => boolean): TreeFile[] {
  const records = listing
    .toString('utf8')
    .split('\0')
    .filter((record) => record !== '');
  if (records.length > MAX_TREE_ENTRIES) {
    throw invalid(`the policy repository holds more than ${MAX_TREE_ENTRIES} files`);
  }
  const files: TreeFile[] = [];
  let total = 0;
  for (const record of records) {
    const [, mode = '', object = '', size = '', path = ''] =
      /^([0-7]{6}) \w+ ([0-9a-f]+) +([0-9]+|-)\t(.*)$/s.exec(record) ?? [];
    const shown = JSON.stringify(path);
    if (path === '' || /[\0-\x1f\x7f\ufffd]/.test(path)) {
      throw invalid(`the policy repository holds a file with a strange name: ${shown}`);
    }
    if (!wanted(path)) {
      continue;
    }
    if (mode === '120000' || mode === '160000') {
      throw invalid(
        `${shown} is a ${mode === '120000' ? 'symbolic link' : 'submodule'}, not a file`,
      );
    }
    total += Number(size);
    if (Number(size) > MAX_FILE_BYTES || total > MAX_TOTAL_BYTES) {
      throw invalid(`${shown} makes the policy larger than hoop reads`);
    }
    files.push({ path, object, size: Number(size) });
  }
  return files;
}

/** `<object> blob <size>\n<contents>\n` each, in the order asked for. */
function splitBlobs(output: Buffer, files: readonly TreeFile[]): Map<string, string> {
  const texts = new Map<string, string>();
  let offset = 0;
  for (const { path, object, size } of files) {
    const header = `${object} blob ${size}\n`;
    const start = offset + header.length;
    if (output.toString('latin1', offset, start) !== header || start + size >= output.length) {
      throw new HoopError('HOOP_POLICY_FETCH', `git did not return ${JSON.stringify(path)}`);
    }
    const bytes = output.subarray(start, start + size);
    try {
      texts.set(path, new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    } catch {
      throw invalid(`${JSON.stringify(path)} is not UTF-8 text`);
    }
    offset = start + size + 1;
  }
  return texts;
}

function invalid(message: string): HoopError {
  return new HoopError('HOOP_POLICY_INVALID', message);
}
