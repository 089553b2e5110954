/** Real repositories with real signatures, in a directory that goes away with the test. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export const NEVER = new AbortController().signal;

export const MINIMAL: Readonly<Record<string, string>> = {
  'hoop.yaml':
    'version: 1\nidentityProviders:\n  - { issuer: "https://idp.example", clientId: hoop }\n',
  'targets/db.yaml': 'name: db\nkind: postgres\ndatabase: app\ncredential: app\n',
  'policies/readers.yaml':
    'name: readers\nwho: { groups: [staff] }\ntargets: { names: [db] }\nrules:\n  - allow: { verbs: [select] }\n',
};

export interface SigningKey {
  readonly file: string;
  /** A line for an allowed-signers file; options such as `valid-before="20200101"`. */
  allowed(options?: string): string;
}

export interface CommitOptions {
  readonly key?: SigningKey;
  readonly date?: string;
  readonly symlinks?: Readonly<Record<string, string>>;
  readonly parent?: string;
}

export class GitFixture implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), 'hoop-test-policy-'));
  readonly tree = join(this.root, 'tree');

  constructor() {
    this.git('init', '--quiet', '--initial-branch=main', this.tree);
  }

  key(name: string): SigningKey {
    const file = join(this.root, name);
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', file]);
    const publicKey = readFileSync(`${file}.pub`, 'utf8').trim();
    return {
      file,
      allowed: (options = '') =>
        `${name}@example.org ${['namespaces="git"', options].filter(Boolean).join(',')} ${publicKey}\n`,
    };
  }

  /** Writes files and commits them, signed when a key is given. @returns the commit id. */
  commit(files: Readonly<Record<string, string>>, options: CommitOptions = {}): string {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.tree, path)), { recursive: true });
      writeFileSync(join(this.tree, path), text);
    }
    for (const [path, target] of Object.entries(options.symlinks ?? {})) {
      mkdirSync(dirname(join(this.tree, path)), { recursive: true });
      symlinkSync(target, join(this.tree, path));
    }
    const signing = options.key
      ? [
          '-c',
          'gpg.format=ssh',
          '-c',
          `user.signingkey=${options.key.file}`,
          '-c',
          'commit.gpgsign=true',
        ]
      : [];
    const date = options.date ?? '2026-01-05T10:00:00Z';
    this.inTree('add', '--all');
    execFileSync(
      'git',
      [
        '-C',
        this.tree,
        ...IDENTITY,
        ...signing,
        'commit',
        '--quiet',
        '--allow-empty',
        '-m',
        'change',
      ],
      { env: { ...ENV, GIT_COMMITTER_DATE: date, GIT_AUTHOR_DATE: date } },
    );
    return this.inTree('rev-parse', 'HEAD');
  }

  tag(name: string, key: SigningKey): void {
    this.inTree(
      '-c',
      'gpg.format=ssh',
      '-c',
      `user.signingkey=${key.file}`,
      'tag',
      '-s',
      '-m',
      'ok',
      name,
    );
  }

  inTree(...args: string[]): string {
    return this.git('-C', this.tree, ...args);
  }

  git(...args: string[]): string {
    return execFileSync('git', [...IDENTITY, ...args], { env: ENV, encoding: 'utf8' }).trim();
  }

  path(name: string): string {
    return join(this.root, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

const IDENTITY = ['-c', 'user.name=Test', '-c', 'user.email=test@example.org'];
const ENV = {
  PATH: process.env['PATH'],
  HOME: '/nonexistent',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
};
