/** The work of `hoop config`. */
import { join } from 'node:path';
import { withStateLock } from '../../auth/state-lock.ts';
import {
  CLIENT_SETTING_NAMES,
  CLIENT_SETTINGS,
  isSettingName,
  LIST_SETTING_NAMES,
  type SettingName,
} from '../../client-settings.ts';
import { HoopError } from '../../errors.ts';
import { locateHome, parseConfig, readConfig, writeConfig } from '../../home.ts';
import { renderJson } from '../../ui/render-json.ts';
import { plain } from '../../ui/text/printable.ts';
import { renderTable } from '../../ui/text/table.ts';
import type { Io } from '../io.ts';
import { lookOf } from '../print.ts';

type Key = SettingName;

interface Flags {
  readonly json?: boolean;
}

interface Setting {
  readonly key: Key;
  readonly value: string | undefined;
  /** Name of the variable, `file`, or `default`. */
  readonly source: string;
}

export function listConfig(io: Io, { json }: Flags): void {
  const home = locateHome(io.env);
  const file = join(home.config, 'config.json');
  const settings = CLIENT_SETTING_NAMES.map((key) => settingOf(io, key));
  if (json) {
    io.stdout.write(`${renderJson({ v: 1, file, settings })}\n`);
    return;
  }
  const lines = renderTable({
    columns: [
      { title: 'key', whole: true },
      { title: 'value', whole: true },
      { title: 'from', whole: true },
    ],
    rows: settings.map(({ key, value, source }) => [key, value ?? '-', source]),
    ...lookOf(io),
    look: 'list',
  });
  // Beside the values its path would be cut.
  io.stdout.write(`${lines.join('\n')}\n\nfile: ${plain(file)}\n`);
}

export function getConfig(io: Io, name: string, { json }: Flags): void {
  const { key, value, source } = settingOf(io, requireKey(io, name));
  if (json) {
    io.stdout.write(`${renderJson({ v: 1, key, value: value ?? null, source })}\n`);
  } else if (value !== undefined) {
    io.stdout.write(`${plain(value)}\n`);
  }
  if (value === undefined) {
    io.setExitCode(1);
  }
}

/** @param text undefined: forget it */
export async function setConfig(
  io: Io,
  name: string,
  text: string | undefined,
  { json }: Flags,
): Promise<void> {
  const key = requireKey(io, name);
  const value = text === undefined ? undefined : CLIENT_SETTINGS[key].parse(text, io.cwd);
  const home = locateHome(io.env);
  // Two at once would each write the file as they have read it.
  await withStateLock(join(home.state, 'config.lock'), io.signal, async () => {
    const stored = readConfig(home, {});
    // Without the key where there is no value: JSON has no undefined.
    writeConfig(home, parseConfig(JSON.stringify({ ...stored, [key]: value }), 'config.json'));
    if (key === 'gateway' && value !== stored.gateway && stored.ca !== undefined) {
      io.note(`the CA "${plain(stored.ca)}" stays; \`hoop config unset ca\` removes it`);
    }
  });
  const { variable } = CLIENT_SETTINGS[key];
  if (io.env[variable]) {
    io.note(`the variable ${variable} is set and overrides it`);
  }
  if (json) {
    io.stdout.write(`${renderJson({ v: 1, key, value: value ?? null })}\n`);
  }
}

function settingOf(io: Io, key: Key): Setting {
  const home = locateHome(io.env);
  const stored = readConfig(home, {})[key];
  const value = readConfig(home, io.env)[key];
  const { variable } = CLIENT_SETTINGS[key];
  if (value !== undefined && io.env[variable] === value) {
    return { key, value, source: variable };
  }
  return { key, value, source: stored === undefined ? 'default' : 'file' };
}

function requireKey(io: Io, name: string): Key {
  if (LIST_SETTING_NAMES.includes(name)) {
    const file = join(locateHome(io.env).config, 'config.json');
    throw new HoopError('HOOP_USAGE', `"${name}" holds lists; edit it in the file`, {
      hint: `The file is "${file}"; docs/login.md describes it.`,
    });
  }
  if (!isSettingName(name)) {
    throw new HoopError('HOOP_USAGE', `there is no setting "${name}"`, {
      hint: `Settings are ${CLIENT_SETTING_NAMES.join(', ')}.`,
    });
  }
  return name;
}
