/**
 * Where the client keeps what: `HOOP_HOME` relocates all of it, else the XDG base directories.
 * https://specifications.freedesktop.org/basedir-spec/latest/
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { errorCode } from './error-code.ts';
import { HoopError } from './errors.ts';
import { findJsonError } from './json-place.ts';

export interface Home {
  /** config.json: what the user chose. */
  readonly config: string;
  /** Pins, policy clone, journals of sessions, tokens when there is no keychain. */
  readonly state: string;
  /** Sockets and per-session files; emptied by the sessions themselves. */
  readonly runtime: string;
  /** Id of the run that this program is part of, whose login it has. */
  readonly run?: string;
}

/** In `HOOP_RUN_DIR`: where the run keeps its login. */
export const RUN_FILE = 'run.json';

export interface ClientConfig {
  readonly gateway?: string;
  /** PEM file of the CA that signs the gateway's certificate, when it is not a public one. */
  readonly ca?: string;
  /** `file` keeps tokens out of the OS keychain. */
  readonly tokenStore?: 'keychain' | 'file';
  /** `always`: the recording of each session is fetched when it has ended. */
  readonly download?: 'always' | 'never';
  /** What every `hoop run --fence` allows, hides, shows and lets be written. */
  readonly fence?: Readonly<Partial<Record<FenceKey, readonly string[]>>>;
  /** What `hoop run` passes on or takes away beside its own list: names, or `NAME*`. */
  readonly keepEnv?: readonly string[];
  readonly dropEnv?: readonly string[];
}

const FENCE_KEYS = ['allow', 'hide', 'show', 'write'] as const;
type FenceKey = (typeof FENCE_KEYS)[number];

/** @throws HoopError HOOP_NOT_LOGGED_IN inside a run that has ended */
export function locateHome(env: NodeJS.ProcessEnv): Home {
  const run = env['HOOP_RUN_DIR'];
  if (run) {
    return homeOfRun(resolve(run));
  }
  const home = env['HOOP_HOME'];
  if (home) {
    // Absolute, because it goes on to child processes, in PGPASSFILE for one.
    const path = resolve(home);
    return { config: path, state: path, runtime: join(path, 'run') };
  }
  return {
    config: join(env['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'hoop'),
    state: join(env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state'), 'hoop'),
    runtime: env['XDG_RUNTIME_DIR']
      ? join(env['XDG_RUNTIME_DIR'], 'hoop')
      : join(tmpdir(), `hoop-${process.getuid?.() ?? userInfo().uid}`),
  };
}

/** Inside a run its login counts, and nobody's else: also not when the run has ended. */
function homeOfRun(directory: string): Home {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(join(directory, RUN_FILE), 'utf8'));
  } catch (cause) {
    throw new HoopError('HOOP_NOT_LOGGED_IN', 'the run that this program is part of has ended', {
      detail: `HOOP_RUN_DIR names "${directory}", but there is no run.`,
      hint: 'Start it again with `hoop run`; without HOOP_RUN_DIR, hoop uses your own login.',
      cause,
    });
  }
  if (
    typeof value === 'object' &&
    value !== null &&
    'run' in value &&
    typeof value.run === 'string' &&
    'state' in value &&
    typeof value.state === 'string'
  ) {
    const { run, state } = value;
    return { config: state, state, runtime: directory, run };
  }
  throw new HoopError('HOOP_LOCAL_STATE', `"${join(directory, RUN_FILE)}" is damaged`);
}

/** config.json with `HOOP_GATEWAY` and `HOOP_CA` laid over it. */
export function readConfig(home: Home, env: NodeJS.ProcessEnv): ClientConfig {
  const path = join(home.config, 'config.json');
  let stored: ClientConfig = {};
  try {
    stored = parseConfig(readFileSync(path, 'utf8'), path);
  } catch (error) {
    if (!isMissing(error)) {
      throw error;
    }
  }
  return {
    ...stored,
    ...(env['HOOP_GATEWAY'] ? { gateway: env['HOOP_GATEWAY'] } : {}),
    ...(env['HOOP_CA'] ? { ca: env['HOOP_CA'] } : {}),
    ...(env['HOOP_TOKEN_STORE'] === 'file' ? { tokenStore: 'file' as const } : {}),
    ...downloadOf(env['HOOP_DOWNLOAD']),
  };
}

function downloadOf(value: string | undefined): Pick<ClientConfig, 'download'> {
  return value === 'always' || value === 'never' ? { download: value } : {};
}

export function writeConfig(home: Home, config: ClientConfig): void {
  mkdirSync(home.config, { recursive: true, mode: 0o700 });
  writeFileAtomic(join(home.config, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
}

/** Writes a 0600 file so that a reader sees the old text or the new, never a part. */
export function writeFileAtomic(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    // Never through a link that lies there already.
    writeFileSync(temporary, text, { mode: 0o600, flag: 'wx' });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/**
 * Makes the directories that a login is kept in, and writes there for a try.
 * @throws HoopError HOOP_LOCAL_STATE
 */
export function requireWritable({ config, state }: Home): void {
  for (const directory of new Set([config, state])) {
    const probe = join(directory, `.${process.pid}.${randomBytes(6).toString('hex')}.tmp`);
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      writeFileSync(probe, '', { mode: 0o600, flag: 'wx' });
      rmSync(probe);
    } catch (cause) {
      const reason = WRITE_REASONS[errorCode(cause) ?? ''] ?? 'it cannot be written';
      throw new HoopError('HOOP_LOCAL_STATE', `cannot keep a login in "${directory}": ${reason}`, {
        hint: 'Correct its owner and permissions, or set HOOP_HOME to a directory of your own.',
        cause,
      });
    }
  }
}

const WRITE_REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'a part of the path is a file',
  EEXIST: 'it is a file',
};

export function isMissing(error: unknown): boolean {
  return errorCode(error) === 'ENOENT';
}

/** @throws HoopError HOOP_CONFIG */
export function parseConfig(text: string, path: string): ClientConfig {
  let value: unknown;
  try {
    value = JSON.parse(withoutMark(text));
  } catch (cause) {
    const { line, column } = findJsonError(withoutMark(text));
    const place = `line ${line}, column ${column}`;
    throw new HoopError('HOOP_CONFIG', `"${path}" is not valid JSON: ${place}`, {
      hint: 'Correct the file, or remove it and run `hoop login --gateway URL` again.',
      cause,
    });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new HoopError('HOOP_CONFIG', `"${path}" must hold a JSON object`);
  }
  const config: { -readonly [Key in keyof ClientConfig]: ClientConfig[Key] } = {};
  for (const [key, entry] of Object.entries(value)) {
    if ((key === 'gateway' || key === 'ca') && typeof entry === 'string') {
      config[key] = entry;
    } else if (key === 'tokenStore' && (entry === 'keychain' || entry === 'file')) {
      config.tokenStore = entry;
    } else if (key === 'download' && (entry === 'always' || entry === 'never')) {
      config.download = entry;
    } else if (key === 'fence' && isFenceConfig(entry)) {
      config.fence = entry;
    } else if ((key === 'keepEnv' || key === 'dropEnv') && isListOfText(entry)) {
      config[key] = entry;
    } else {
      throw new HoopError('HOOP_CONFIG', `"${path}" has an unknown or wrong setting "${key}"`, {
        hint: 'Known settings are gateway, ca, tokenStore, download, fence, keepEnv and dropEnv.',
      });
    }
  }
  return config;
}

/** Notepad writes a byte order mark in front. */
function withoutMark(text: string): string {
  return text.startsWith('\uFEFF') ? text.slice(1) : text;
}

function isFenceConfig(value: unknown): value is NonNullable<ClientConfig['fence']> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.entries(value).every(
      ([key, entry]) =>
        FENCE_KEYS.some((known) => known === key) &&
        Array.isArray(entry) &&
        entry.every((text) => typeof text === 'string'),
    )
  );
}

function isListOfText(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string');
}
