/**
 * What `hoop config` knows of each key of config.json: which values it takes, and which variable
 * wins over it. Nothing secret is a setting.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { normalizeGatewayUrl } from './client/gateway-url.ts';
import { HoopError } from './errors.ts';
import type { ClientConfig } from './home.ts';

export interface ClientSetting {
  readonly description: string;
  /** Wins over what is stored. */
  readonly variable: string;
  /** All that it takes; undefined: see `parse`. */
  readonly choices?: readonly string[];
  /** What is stored for what was typed. @throws HoopError HOOP_USAGE */
  readonly parse: (text: string, cwd: string) => string;
}

/** Single values; see LIST_SETTING_NAMES for the others. */
export type SettingName = Extract<keyof ClientConfig, 'gateway' | 'ca' | 'tokenStore' | 'download'>;

export const CLIENT_SETTINGS: Readonly<Record<SettingName, ClientSetting>> = {
  gateway: {
    description: 'address of the gateway',
    variable: 'HOOP_GATEWAY',
    parse: (text) => normalizeGatewayUrl(text, 'HOOP_USAGE'),
  },
  ca: {
    description: 'PEM file of a private CA that signed its certificate',
    variable: 'HOOP_CA',
    parse: parseCa,
  },
  tokenStore: {
    description: 'keychain or file; unset: the keychain if available, else a file',
    variable: 'HOOP_TOKEN_STORE',
    choices: ['keychain', 'file'],
    parse: parseTokenStore,
  },
  download: {
    description: 'always: download the recording of each session after it ends',
    variable: 'HOOP_DOWNLOAD',
    choices: ['always', 'never'],
    parse: parseDownload,
  },
};

export const CLIENT_SETTING_NAMES = Object.keys(CLIENT_SETTINGS).filter(isSettingName);

/** Lists, which are edited in the file. */
export const LIST_SETTING_NAMES: readonly string[] = [
  'fence',
  'keepEnv',
  'dropEnv',
] satisfies readonly Exclude<keyof ClientConfig, SettingName>[];

export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(CLIENT_SETTINGS, name);
}

/** Told now, not at the next login. */
function parseCa(text: string, cwd: string): string {
  const path = resolve(cwd, text);
  let pem: string;
  try {
    pem = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new HoopError('HOOP_USAGE', `cannot read the CA certificate "${path}"`, { cause });
  }
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) {
    throw new HoopError('HOOP_USAGE', `"${path}" contains no PEM certificate`);
  }
  return path;
}

function parseTokenStore(text: string): string {
  if (text !== 'keychain' && text !== 'file') {
    throw new HoopError('HOOP_USAGE', `tokenStore cannot be "${text}"`, {
      hint: 'Use keychain or file.',
    });
  }
  return text;
}

function parseDownload(text: string): string {
  if (text !== 'always' && text !== 'never') {
    throw new HoopError('HOOP_USAGE', `download cannot be "${text}"`, {
      hint: 'Use always or never.',
    });
  }
  return text;
}
