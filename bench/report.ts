/** The result: a table for people, or everything for programs. */
import { cpus } from 'node:os';
import { type Figure, format, ratio } from './figures.ts';
import type { Notes } from './memory.ts';
import { type BenchOptions, LANES, type LaneName } from './options.ts';
import { median } from './statistics.ts';

export interface Result {
  readonly commit: string;
  readonly options: BenchOptions;
  readonly figures: readonly Figure[];
  /** Single numbers that no lane is compared in. */
  readonly notes: Notes;
}

const RATIOS: readonly (readonly [LaneName, LaneName])[] = [
  ['hoop allow', 'ssh -L'],
  ['hoop masked', 'ssh -L'],
  ['hoop masked', 'hoop allow'],
  ['hoop allow', 'direct'],
  ['hoop allow', 'ssh -J'],
  ['hoop allow', 'node relay'],
  ['hoop allow', 'direct (defaults)'],
];
/** There is no other way to record. */
export const RECORDING = 'recording full, encrypted, two-sided';

export function renderJson({ commit, options, figures, notes }: Result): string {
  return `${JSON.stringify({
    v: 2,
    commit,
    node: process.version,
    cores: cpus().length,
    processor: cpus()[0]?.model ?? null,
    recording: RECORDING,
    options,
    figures: figures.map((figure) => ({
      ...figure,
      byLane: Object.fromEntries(figure.byLane),
      ratios: Object.fromEntries(
        RATIOS.map(([lane, against]) => [
          `${lane} / ${against}`,
          ratio(figure, lane, against) ?? null,
        ]),
      ),
    })),
    notes,
  })}\n`;
}

/** Markdown, as it stands in README.md. */
export function renderTable({ commit, options, figures, notes }: Result): string {
  const lanes = LANES.filter((lane) => figures.some(({ byLane }) => byLane.has(lane)));
  const ratios = RATIOS.filter((pair) => pair.every((lane) => lanes.includes(lane)));
  const titles = [
    'work',
    'unit',
    ...lanes,
    ...ratios.map(([lane, against]) => `${lane} / ${against}`),
  ];
  const machine = `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'})`;
  const rounds = `${options.rounds} ${options.rounds === 1 ? 'round' : 'rounds, medians'}`;
  const memory = options.cold ? 'cold memory' : 'warm memory';
  const rows = figures.map((figure) => [
    figure.work,
    figure.unit,
    ...lanes.map((lane) => {
      const all = figure.byLane.get(lane);
      return all ? format(median(all)) : '–';
    }),
    ...ratios.map(([lane, against]) => ratio(figure, lane, against)?.toFixed(2) ?? '–'),
  ]);
  const lines = [
    `Commit ${commit}, Node ${process.version}, ${machine}, ${rounds}, ${memory}; ${RECORDING}.`,
    ...(rows.length > 0
      ? [
          '',
          `| ${titles.join(' | ')} |`,
          `|---|---|${'---:|'.repeat(titles.length - 2)}`,
          ...rows.map((row) => `| ${row.join(' | ')} |`),
        ]
      : []),
    '',
    ...Object.entries(notes).map(([name, value]) => `- ${name}: ${value}`),
  ];
  return `${lines.join('\n')}\n`;
}
