/** What `hoop login` and `hoop whoami` print. */

import type { WhoamiReply } from '../api/login.ts';
import type { DeviceCode } from '../auth/device-login.ts';
import { actorName } from '../policy/actor-name.ts';
import { renderJson } from './render-json.ts';
import { plain } from './text/printable.ts';
import { type Fact, factLines } from './text/table.ts';
import { localTime } from './text/times.ts';

export function renderLogin(
  gateway: string,
  who: WhoamiReply,
  tokenStore: string,
  now: Date,
): string {
  const { agent, run } = who;
  const lines: readonly Fact[] = [
    ['user', actorName(who)],
    ['subject', `${who.sub} at ${who.issuer}`],
    ['groups', list(who.groups)],
    ['roles', who.viaDevice ? 'none: logged in with a device code' : list(who.roles)],
    ['agent', agent && (who.isAgent === true ? `${agent}, its own login` : agent)],
    ['run', run && `${run.id}${run.parent === undefined ? '' : `, in run ${run.parent}`}`],
    ['gateway', gateway],
    ['expires', `${localTime(Date.parse(who.expiresAt))} (${remaining(who.expiresAt, now)})`],
    ['tokens', tokenStore],
  ];
  return `${factLines(lines, 9).join('\n')}\n`;
}

export function renderLoginJson(gateway: string, who: WhoamiReply, tokenStore: string): string {
  return `${renderJson({ ...who, gateway, tokenStore })}\n`;
}

/** With all that tells a code of one's own from one that somebody has sent. */
export function renderDeviceCode(gateway: string, code: DeviceCode): string {
  const lines = [
    `open ${plain(code.verificationUri)}`,
    `and enter the code ${plain(code.userCode)} by ${localTime(code.expiresAtMs)}`,
    `it logs in this machine (${plain(code.place)}) at ${plain(gateway)}`,
    `and requests: ${list(code.scopes)}; such a login gives no role and no approvals`,
    'enter the code only if you started this login yourself',
  ];
  return lines.map((line) => `hoop: ${line}\n`).join('');
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
