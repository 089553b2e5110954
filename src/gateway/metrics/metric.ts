/**
 * Counters, gauges and histograms in the Prometheus text format 0.0.4.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 *
 * Labels must come from closed sets (codes, kinds, targets of the policy), never from people, SQL or
 * sessions. A metric still stops taking new label values at a bound.
 */

export type Labels = Readonly<Record<string, string>>;

interface Sample {
  /** Appended to the metric's name, such as `_bucket`. */
  readonly suffix?: string;
  readonly labels?: Labels;
  readonly value: number;
}

export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  samples(): readonly Sample[] | Promise<readonly Sample[]>;
}

/** Series of one metric. Values beyond it are counted under `other`. */
const MAX_SERIES = 500;

/** A sum that only grows, for each set of label values. */
export class Counter implements Metric {
  readonly name: string;
  readonly help: string;
  readonly type = 'counter';
  readonly #labels: readonly string[];
  readonly #values = new Map<string, { readonly labels: Labels; value: number }>();

  /** @param labels names of the labels, in the order in which `add` takes their values */
  constructor(name: string, help: string, labels: readonly string[] = []) {
    this.name = name;
    this.help = help;
    this.#labels = labels;
    if (labels.length === 0) this.add(0);
  }

  add(amount: number, ...values: readonly string[]): void {
    const key = values.join('\0');
    const found = this.#values.get(key);
    if (found !== undefined) {
      found.value += amount;
    } else if (this.#values.size < MAX_SERIES || values.every((value) => value === 'other')) {
      this.#values.set(key, { labels: labelled(this.#labels, values), value: amount });
    } else {
      this.add(amount, ...values.map(() => 'other'));
    }
  }

  samples(): readonly Sample[] {
    return [...this.#values.values()];
  }
}

/** A gauge whose value is taken when it is read. */
export function gauge(name: string, help: string, samples: Metric['samples']): Metric {
  return { name, help, type: 'gauge', samples };
}

/** Observations by upper bounds, in seconds. */
export class Histogram implements Metric {
  readonly name: string;
  readonly help: string;
  readonly type = 'histogram';
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  constructor(name: string, help: string, bounds: readonly number[]) {
    this.name = name;
    this.help = help;
    this.#bounds = bounds;
    this.#counts = [...bounds.map(() => 0), 0];
  }

  observe(seconds: number): void {
    const at = this.#bounds.findIndex((bound) => seconds <= bound);
    const index = at === -1 ? this.#bounds.length : at;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#sum += seconds;
  }

  samples(): readonly Sample[] {
    let count = 0;
    const buckets = [...this.#bounds, Number.POSITIVE_INFINITY].map((bound, index): Sample => {
      count += this.#counts[index] ?? 0;
      return { suffix: '_bucket', labels: { le: number(bound) }, value: count };
    });
    return [...buckets, { suffix: '_sum', value: this.#sum }, { suffix: '_count', value: count }];
  }
}

/**
 * Renders all metrics. One that cannot be read now is left out and reported, because a missing value
 * is better than a wrong one.
 */
export async function renderMetrics(
  metrics: readonly Metric[],
  onError: (metric: string, error: unknown) => void,
): Promise<string> {
  const parts = await Promise.all(
    metrics.map(async (metric) => {
      try {
        return block(metric, await metric.samples());
      } catch (error) {
        onError(metric.name, error);
        return '';
      }
    }),
  );
  return parts.join('');
}

function block({ name, help, type }: Metric, samples: readonly Sample[]): string {
  const lines = samples.map(
    ({ suffix = '', labels = {}, value }) => `${name}${suffix}${braces(labels)} ${number(value)}\n`,
  );
  return `# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}

function labelled(names: readonly string[], values: readonly string[]): Labels {
  return Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']));
}

function braces(labels: Labels): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${escaped(value).replaceAll('"', '\\"')}"`,
  );
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function number(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}
