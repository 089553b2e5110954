/** A rule about servers in words, for `hoop targets`, refusals and whoever approves. */
import type { CommandPattern, SshRule } from './types.ts';

/** E.g. `exec of journalctl **, cat /var/log/* as deploy`, `sftp (read, list) of /srv/app/**`. */
export function describeSshRule(rule: SshRule): string {
  const acts = rule.acts.filter((act) => act !== 'file').map((act) => describeAct(act, rule));
  const as = rule.users.length === 0 ? '' : ` as ${rule.users.join(' or ')}`;
  return `${acts.join(' and ')}${as}`;
}

function describeAct(act: SshRule['acts'][number], rule: SshRule): string {
  switch (act) {
    case 'shell':
    case 'file':
      return act;
    case 'exec':
      return `exec${commandsOf(rule)}`;
    case 'sftp': {
      const which = rule.operations.length === 0 ? '' : ` (${rule.operations.join(', ')})`;
      return `sftp${which}${ofList(rule.paths)}`;
    }
    case 'forward':
      return rule.destinations.length === 0
        ? 'forward to anywhere'
        : `forward to ${rule.destinations.join(', ')}`;
  }
}

function commandsOf({ commands, unknown, paths }: SshRule): string {
  if (unknown) {
    return ' of commands that cannot be read';
  }
  const exactly = commands.some(({ exact }) => exact) ? ' of exactly' : ' of';
  if (commands.length > 0) {
    const files = paths.length === 0 ? '' : ` with files of ${paths.join(', ')}`;
    return `${exactly} ${commands.map(describePattern).join(', ')}${files}`;
  }
  return paths.length === 0 ? '' : ` with files${ofList(paths)}`;
}

function ofList(texts: readonly string[]): string {
  return texts.length === 0 ? '' : ` of ${texts.join(', ')}`;
}

/** As it can stand in a rule: what came out of quotes goes into them again. */
function describePattern({ words }: CommandPattern): string {
  return words
    .map((word) => (/^[A-Za-z0-9_@%+=:,./*-]+$/.test(word) ? word : quoted(word)))
    .join(' ');
}

function quoted(word: string): string {
  const text = word.replaceAll(/\\(.)/g, '$1');
  return text.includes("'") ? `"${text}"` : `'${text}'`;
}
