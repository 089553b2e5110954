/** What `hoop run --print-env` shows: names, and values of those alone that are no secrets. */
import type { RunEnvironment } from '../run/environment.ts';
import { renderJson } from './render-json.ts';
import { plain } from './text/printable.ts';

/** Addresses, names and paths. Everything else may hold a password or a token. */
const SHOWN: ReadonlySet<string> = new Set([
  'PATH',
  'PGHOST',
  'PGPORT',
  'PGUSER',
  'PGDATABASE',
  'PGPASSFILE',
  'PGSERVICEFILE',
  'HOOP_RUN',
  'HOOP_RUN_DIR',
  'HOOP_PARENT_RUN',
  'HOOP_AGENT',
  'HOOP_BRIEFING',
  // A socket or a port; what lets one in there is HOOP_CONTEXT_TOKEN.
  'HOOP_CONTEXT_URL',
  'HOOP_SSH_CONFIG',
  'GIT_SSH_COMMAND',
  'RSYNC_RSH',
  'ANSIBLE_SSH_COMMON_ARGS',
]);

export function renderRunEnvironment(environment: RunEnvironment): string {
  const lines = [
    ...[...environment.set].map(([name, value]) => `set      ${name}=${shownValue(name, value)}`),
    ...[...environment.removed].map(([name, reason]) => `removed  ${name} (${reason})`),
    ...environment.kept.map((name) => `kept     ${name}`),
  ];
  return `${lines.map(plain).join('\n')}\n`;
}

export function renderRunEnvironmentJson({ set, removed, kept }: RunEnvironment): string {
  return `${renderJson({
    v: 1,
    set: [...set].map(([name, value]) => ({ name, value: shownValue(name, value) })),
    removed: [...removed].map(([name, reason]) => ({ name, reason })),
    kept,
  })}\n`;
}

function shownValue(name: string, value: string): string {
  if (SHOWN.has(name)) {
    return value;
  }
  const url = name.endsWith('_URL') ? URL.parse(value) : null;
  if (url === null || !url.protocol.startsWith('postgres')) {
    return '…';
  }
  url.password = '';
  return url.href.replace('@', ':…@');
}
