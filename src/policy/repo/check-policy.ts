/** `hoop policy check`: a directory, or a repository as the gateway would take it. */
import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HoopError } from '../../errors.ts';
import type { PolicyConnector } from '../connector.ts';
import { isPolicyPath, loadPolicy, POLICY_FOLDERS } from '../load-policy.ts';
import type { Policy, PolicyProblem } from '../policy.ts';
import { policyWarnings } from '../policy-warnings.ts';
import { PolicyClone } from './policy-clone.ts';

export interface PolicyCheck {
  readonly policy: Policy | undefined;
  readonly problems: readonly PolicyProblem[];
  /** Valid, and perhaps not what was meant. */
  readonly warnings: readonly PolicyProblem[];
  /** Text of the files, for excerpts. */
  readonly files: ReadonlyMap<string, string>;
  /** Where it came from: a directory, or a verified commit. */
  readonly commit: string | undefined;
  readonly signer: string | undefined;
}

export interface RepositoryCheck {
  readonly repository: string;
  readonly branch: string;
  /** Text of the file; undefined: the signature is not looked at. */
  readonly allowedSigners: string | undefined;
  readonly connectors: readonly PolicyConnector[];
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

const MAX_FILES = 5000;

/** A work tree before its commit. @throws HoopError HOOP_USAGE when it is no directory */
export function checkDirectory(
  directory: string,
  connectors: readonly PolicyConnector[],
): PolicyCheck {
  const files = new Map<string, string>();
  const odd: PolicyProblem[] = [];
  for (const path of listFiles(directory).filter(isPolicyPath)) {
    const problem = readInto(files, directory, path);
    if (problem !== undefined) {
      odd.push({ file: path, line: 1, column: 1, message: problem });
    }
  }
  const { policy, problems } = loadPolicy(files, connectors);
  return {
    policy: odd.length > 0 ? undefined : policy,
    problems: [...odd, ...problems],
    warnings: policy === undefined ? [] : policyWarnings(policy),
    files,
    commit: undefined,
    signer: undefined,
  };
}

/** @throws HoopError HOOP_POLICY_FETCH, HOOP_POLICY_UNSIGNED, HOOP_POLICY_SIGNER, HOOP_CONFIG */
export async function checkRepository(options: RepositoryCheck): Promise<PolicyCheck> {
  const dir = mkdtempSync(join(tmpdir(), 'hoop-policy-'));
  try {
    const { repository, branch, allowedSigners, env, signal } = options;
    const clone = await PolicyClone.open(
      { dir, branch, allowedSigners: allowedSigners ?? '', env },
      signal,
    );
    const commit = await clone.fetch(repository, signal);
    const verified =
      allowedSigners === undefined
        ? undefined
        : await clone.verify(commit, { isFresh: true, repository }, signal);
    const files = await clone.readFiles(commit, isPolicyPath, signal);
    const loaded = loadPolicy(files, options.connectors);
    const warnings = loaded.policy === undefined ? [] : policyWarnings(loaded.policy);
    return { ...loaded, warnings, files, commit, signer: verified?.signer };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function listFiles(directory: string): string[] {
  const stat = lstatSync(directory, { throwIfNoEntry: false });
  if (!stat?.isDirectory() && !stat?.isSymbolicLink()) {
    throw new HoopError('HOOP_USAGE', `"${directory}" is not a directory`);
  }
  const paths = existsSync(join(directory, 'hoop.yaml')) ? ['hoop.yaml'] : [];
  const folders = POLICY_FOLDERS.filter((folder) => existsSync(join(directory, folder)));
  for (const folder of folders) {
    for (const entry of readdirSync(join(directory, folder), { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`;
      (entry.isDirectory() ? folders : paths).push(path);
      if (paths.length + folders.length > MAX_FILES) {
        throw new HoopError(
          'HOOP_USAGE',
          `"${directory}" contains more than ${MAX_FILES} policy files`,
        );
      }
    }
  }
  return paths.sort();
}

/** @returns what is odd about the file, in the words that the gateway would use. */
function readInto(files: Map<string, string>, directory: string, path: string): string | undefined {
  const file = join(directory, path);
  if (!lstatSync(file).isFile()) {
    return 'is a symbolic link or a special file; the gateway reads regular files only';
  }
  try {
    files.set(path, new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file)));
    return undefined;
  } catch (error) {
    if (error instanceof TypeError) {
      return 'is not UTF-8 text';
    }
    throw error;
  }
}
