/** What `hoop login` and `hoop whoami` print. */
import type { WhoamiReply } from '../tunnel/api.ts';
import { plain } from './printable.ts';
import { renderJson } from './render-json.ts';
import { localTime } from './times.ts';

export function renderLogin(
  gateway: string,
  who: WhoamiReply,
  tokenStore: string,
  now: Date,
): string {
  const lines: readonly (readonly [string, string])[] = [
    ['user', plain(who.name)],
    ['subject', `${plain(who.sub)} at ${plain(who.issuer)}`],
    ['groups', list(who.groups)],
    ['roles', list(who.roles)],
    ['gateway', gateway],
    ['expires', `${localTime(Date.parse(who.expiresAt))} (${remaining(who.expiresAt, now)})`],
    ['tokens', plain(tokenStore)],
  ];
  return `${lines.map(([name, value]) => `${name.padEnd(9)}${value}`).join('\n')}\n`;
}

export function renderLoginJson(gateway: string, who: WhoamiReply, tokenStore: string): string {
  return `${renderJson({ ...who, gateway, tokenStore })}\n`;
}

function list(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.map(plain).join(', ');
}

function remaining(until: string, now: Date): string {
  const minutes = Math.floor((Date.parse(until) - now.getTime()) / 60_000);
  if (Number.isNaN(minutes) || minutes < 0) {
    return 'over';
  }
  return minutes < 60
    ? `in ${minutes} min`
    : `in ${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
