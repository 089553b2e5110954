/** What the run found, for people. */
import type { ComparedSuite, Outcome } from './compare.ts';

const MAX_SHOWN = 12;

export function isClean(compared: readonly ComparedSuite[]): boolean {
  return compared.every(
    ({ cases, stale }) =>
      stale.length === 0 && cases.every(({ outcome }) => outcome !== 'different'),
  );
}

export function render(compared: readonly ComparedSuite[]): string {
  const lines = [
    '| suite | lane | cases | same | accepted | unstable | different |',
    '|---|---|---:|---:|---:|---:|---:|',
    ...compared.map(({ suite, lane, cases }) => {
      const count = (outcome: Outcome): number =>
        cases.filter((one) => one.outcome === outcome).length;
      return `| ${suite} | ${lane} | ${cases.length} | ${count('same')} | ${count('accepted')} | ${count('unstable')} | ${count('different')} |`;
    }),
    '',
  ];
  for (const { suite, lane, cases, stale } of compared) {
    for (const { name, outcome, shown, unexplained } of cases) {
      if (outcome !== 'different') continue;
      lines.push(
        `different: ${suite}/${name} (${lane})${shown.length > 0 ? `: ${shown.join(', ')}` : ''}`,
      );
      lines.push(...unexplained.slice(0, MAX_SHOWN).map((line) => `    ${line}`));
      if (unexplained.length > MAX_SHOWN)
        lines.push(`    … ${unexplained.length - MAX_SHOWN} more`);
    }
    for (const name of stale) lines.push(`no difference any more: ${suite}/${name} (${lane})`);
  }
  return `${lines.join('\n')}\n`;
}
