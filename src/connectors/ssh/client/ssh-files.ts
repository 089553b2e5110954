/**
 * Files that let unmodified ssh, scp, sftp and what calls them reach targets through local ports:
 * configuration, known host keys, user keys, and a directory for PATH. All in a 0700 directory that
 * is removed at the end.
 */
import { accessSync, constants, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { shellWord } from '../../../shell-word.ts';
import { knownHostsLines, otherHosts, type SshHost, sshHostBlock } from './ssh-config.ts';
import type { LocalSshKeys } from './ssh-keys.ts';

export interface SshFacts extends LocalSshKeys {
  /** Of the target. */
  readonly name: string;
  readonly via: SshHost['via'];
}

export interface SshFiles {
  readonly configFile: string;
  readonly knownHostsFile: string;
  /** For each target one of each type, in the order in which clients should try them. */
  readonly identityFiles: readonly (readonly string[])[];
  /** Holds ssh, scp and sftp as wrappers; undefined: none of them is installed. */
  readonly programs: string | undefined;
}

const WRAPPED = ['ssh', 'scp', 'sftp'] as const;
const OWN = { mode: 0o600, flag: 'wx' } as const;

/** @param directory ours alone; a directory `ssh` is made in it */
export function writeSshFiles(
  directory: string,
  targets: readonly SshFacts[],
  env: NodeJS.ProcessEnv,
): SshFiles {
  const place = join(directory, 'ssh');
  mkdirSync(place, { mode: 0o700 });
  const configFile = join(place, 'config');
  const knownHostsFile = join(place, 'known_hosts');
  const identityFiles = targets.map(({ userKeys }, index) =>
    userKeys.map(({ privateKey, publicKey }) => {
      const file = join(place, `id-${index + 1}-${publicKey.split(' ')[0]}`);
      writeFileSync(file, privateKey.expose(), OWN);
      return file;
    }),
  );
  const blocks = targets.map(({ name, via }, index) =>
    sshHostBlock({ name, via, knownHostsFile, identityFiles: identityFiles[index] ?? [] }),
  );
  const names = targets.map(({ name }) => name);
  const others = otherHosts(names, join(env['HOME'] || homedir(), '.ssh', 'config'));
  writeFileSync(configFile, [...blocks, others].join('\n'), OWN);
  const known = targets.map(({ name, hostKeys }) => knownHostsLines(name, hostKeys));
  writeFileSync(knownHostsFile, known.join(''), OWN);
  const programs = writeWrappers(join(place, 'bin'), configFile, env['PATH'] ?? '');
  return { configFile, knownHostsFile, identityFiles, programs };
}

/** For a child that shall find the targets by their names alone. */
export function sshEnvironment(
  { configFile, programs }: SshFiles,
  env: NodeJS.ProcessEnv,
): Readonly<Record<string, string>> {
  const command = `ssh -F ${shellWord(configFile)}`;
  return {
    ...(programs === undefined
      ? {}
      : { PATH: [programs, ...(env['PATH'] ? [env['PATH']] : [])].join(delimiter) }),
    // For those that do not look for ssh on PATH, or put options of their own before it.
    GIT_SSH_COMMAND: command,
    RSYNC_RSH: command,
    ANSIBLE_SSH_COMMON_ARGS: `-F ${shellWord(configFile)}`,
    HOOP_SSH_CONFIG: configFile,
  };
}

function writeWrappers(directory: string, configFile: string, path: string): string | undefined {
  const found = WRAPPED.flatMap((name) => {
    const program = findProgram(name, path);
    return program === undefined ? [] : [{ name, program }];
  });
  if (found.length === 0) {
    return undefined;
  }
  mkdirSync(directory, { mode: 0o700 });
  for (const { name, program } of found) {
    const script = `#!/bin/sh\nexec ${shellWord(program)} -F ${shellWord(configFile)} "$@"\n`;
    writeFileSync(join(directory, name), script, { mode: 0o700, flag: 'wx' });
  }
  return directory;
}

/** The system's own: a wrapper of ours around another of ours would do as well, and be slower. */
export function findProgram(name: string, path: string): string | undefined {
  return path
    .split(delimiter)
    .filter((directory) => directory.startsWith('/'))
    .map((directory) => join(directory, name))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    // What it says is the answer.
    return false;
  }
}
