/** `--table`: the table of README.md, for somebody who has a minute. */
import { cpus } from 'node:os';
import { LINK_TITLE } from './delayed-link.ts';
import { cpuName, type Figure, format, ratio } from './figures.ts';
import type { LaneName } from './options.ts';
import { RECORDING, type Result } from './report.ts';
import { median } from './statistics.ts';

interface Row {
  readonly title: string;
  /** How the names of its figures begin: sizes and numbers of rows follow. */
  readonly work: string;
  /** Default: hoop allow. */
  readonly lane?: LaneName;
  /** Default: ssh -L. */
  readonly against?: LaneName;
  /** Of the ratio, which is 1 where hoop is as good as that lane. */
  readonly must?: number;
}

const MASKED = { lane: 'hoop masked', against: 'hoop allow', must: 0.8 } as const;
const BASTION = { against: 'ssh -J', must: 0.7 } as const;

const ROWS: readonly Row[] = [
  { title: 'one-row query, p50', work: 'one-row query, p50', must: 1 / 1.6 },
  { title: '8 clients, prepared', work: 'pgbench -S prepared, 8 clients', must: 0.6 },
  { title: '8 clients, simple', work: 'pgbench -S simple, 8 clients', must: 0.6 },
  { title: 'login on an open port, p50', work: 'login on an open port, p50' },
  {
    title: 'the same, against a bare relay',
    work: 'login on an open port, p50',
    against: 'node relay',
    must: 1 / 1.2,
  },
  { title: 'COPY OUT', work: 'COPY OUT,', must: 0.65 },
  { title: 'SELECT', work: 'SELECT, ', must: 0.65 },
  { title: 'COPY IN', work: 'COPY IN,' },
  { title: 'SELECT of 8 columns, text', work: 'SELECT of 8 columns, text' },
  { title: 'the same, 2 masked, against none', work: 'SELECT of 8 columns, text', ...MASKED },
  { title: 'SELECT of 8 columns, binary', work: 'SELECT of 8 columns, binary' },
  { title: 'the same, 2 masked, against none', work: 'SELECT of 8 columns, binary', ...MASKED },
  { title: 'scp up', work: 'scp up', ...BASTION },
  { title: 'scp down', work: 'scp down', ...BASTION },
  {
    title: `${LINK_TITLE}one-row query, p50`,
    work: `${LINK_TITLE}one-row query, p50`,
    must: 1 / 1.02,
  },
  {
    title: `${LINK_TITLE}200 statements in turn`,
    work: `${LINK_TITLE}200 statements`,
    must: 1 / 1.02,
  },
  { title: `${LINK_TITLE}COPY OUT`, work: `${LINK_TITLE}COPY OUT`, must: 1 },
  { title: `${LINK_TITLE}COPY IN`, work: `${LINK_TITLE}COPY IN`, must: 1 },
  { title: `${LINK_TITLE}scp up`, work: `${LINK_TITLE}scp up`, against: 'ssh -J' },
  { title: `${LINK_TITLE}scp down`, work: `${LINK_TITLE}scp down`, against: 'ssh -J' },
  { title: '`hoop run -- true`', work: 'hoop run -- true' },
  { title: '`hoop connect` to the first row', work: 'start of the command to first row' },
];

const TITLES = [
  ...['work', 'unit', 'direct', 'ssh', 'hoop', 'hoop / ssh', 'must'],
  ...['CPU at the client: ssh → hoop', 'CPU at the server: sshd → hoop'],
];

export function renderSummary({ commit, options, figures, notes }: Result): string {
  const rows = ROWS.flatMap((row) => {
    const figure = figures.find(({ work }) => work.startsWith(row.work));
    return figure === undefined ? [] : [cells(row, figure, figures)];
  });
  const machine = `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'})`;
  const rounds = `${options.rounds} ${options.rounds === 1 ? 'round' : 'rounds, medians'}`;
  return `${[
    `Commit ${commit}, Node ${process.version}, ${machine}, ${rounds}; ${RECORDING}.`,
    '',
    `| ${TITLES.join(' | ')} |`,
    `|---|---|${'---:|'.repeat(TITLES.length - 2)}`,
    ...rows.map((row) => `| ${row.join(' | ')} |`),
    '',
    ...Object.entries(notes).map(([name, value]) => `- ${name}: ${value}`),
  ].join('\n')}\n`;
}

function cells(row: Row, figure: Figure, figures: readonly Figure[]): readonly string[] {
  const { lane = 'hoop allow', against = 'ssh -L', must } = row;
  return [
    row.title,
    figure.unit,
    medianOf(figure, 'direct'),
    medianOf(figure, against),
    medianOf(figure, lane),
    ratio(figure, lane, against)?.toFixed(2) ?? '–',
    must?.toFixed(2) ?? '–',
    ...['client end', 'server end'].map((end) => {
      const spent = figures.find(({ work }) => work === cpuName(baseOf(figure.work), end));
      return spent?.byLane.has(lane)
        ? `${medianOf(spent, against)} → ${medianOf(spent, lane)} ${spent.unit}`
        : '–';
    }),
  ];
}

/** CPU time is of the whole series, not of one percentile. */
function baseOf(work: string): string {
  return work.replace(/, (p\d+|the fastest)$/, '');
}

function medianOf({ byLane }: Figure, lane: string): string {
  const all = byLane.get(lane);
  return all === undefined ? '–' : format(median(all));
}
