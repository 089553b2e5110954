/** What `hoop whoami --explain` prints. */
import type { IdentityExplanation } from '../auth/explain-identity.ts';
import { renderJson } from './render-json.ts';
import { plain } from './text/printable.ts';

const STATES = { found: 'found', unusable: 'unusable', absent: 'not here' } as const;

export function renderExplanation(explanation: IdentityExplanation): string {
  const { gateway, forced, login, platforms, used, audience, claims, whoami, error } = explanation;
  const width = Math.max(0, ...platforms.map(({ name }) => name.length)) + 2;
  const lines = [
    `gateway   ${gateway === undefined ? 'none is known (HOOP_GATEWAY is not set)' : plain(gateway)}`,
    `asked for ${forced === undefined ? 'whatever is found (HOOP_IDENTITY is not set)' : plain(forced)}`,
    `login     ${login.found ? plain(login.where ?? 'found') : 'none'}`,
    'platforms',
    ...platforms.flatMap(({ name, state, because, hint }) => [
      `  ${name.padEnd(width)}${STATES[state]}: ${plain(because)}`,
      ...(hint === undefined ? [] : [`  ${''.padEnd(width)}${plain(hint)}`]),
    ]),
    `used      ${used ?? 'nothing'}`,
    ...(audience === undefined ? [] : [`audience  ${plain(audience)}`]),
    ...(claims === undefined ? [] : ['claims of the token']),
    ...Object.entries(claims ?? {}).map(([name, value]) => `  ${plain(name)}: ${plain(value)}`),
  ];
  if (whoami?.workload !== undefined) {
    lines.push('entries of the policy');
    for (const { name, fits, problems } of whoami.workload.entries) {
      const isUsed = name === whoami.workload.entry;
      const verdict = isUsed
        ? 'used'
        : fits
          ? 'matches, but an earlier entry wins'
          : 'does not match';
      lines.push(`  ${plain(name)}: ${verdict}`);
      lines.push(...problems.map((problem) => `    ${plain(problem)}`));
    }
  }
  if (whoami !== undefined) {
    lines.push(
      `you are   ${plain(whoami.name)}, in ${whoami.groups.map(plain).join(', ') || 'no group'}`,
    );
  }
  if (error !== undefined) {
    lines.push(`refused   ${plain(error.message)}`);
  }
  return `${lines.join('\n')}\n`;
}

export function renderExplanationJson(explanation: IdentityExplanation): string {
  const { error, ...rest } = explanation;
  const shown =
    error === undefined
      ? {}
      : {
          error: {
            code: error.code,
            message: error.message,
            detail: error.detail,
            hint: error.hint,
          },
        };
  return `${renderJson({ v: 1, ...rest, ...shown })}\n`;
}
