import { expect, test } from 'vitest';
import { Counter, gauge, Histogram, renderMetrics } from '../../../src/gateway/metrics/metric.ts';

const never = (metric: string, error: unknown): void => {
  throw new Error(`${metric} failed: ${String(error)}`);
};

test('a counter without labels shows 0 before anything is counted', async () => {
  expect(await renderMetrics([new Counter('a_total', 'Help.')], never)).toBe(
    '# HELP a_total Help.\n# TYPE a_total counter\na_total 0\n',
  );
});

test('label values are escaped, so a name cannot add a series', async () => {
  const counter = new Counter('a_total', 'Two\nlines \\.', ['name']);
  counter.add(2, 'x"} 9\nb_total 1 \\');
  expect(await renderMetrics([counter], never)).toBe(
    '# HELP a_total Two\\nlines \\\\.\n# TYPE a_total counter\na_total{name="x\\"} 9\\nb_total 1 \\\\"} 2\n',
  );
});

test('a counter stops taking new label values at its bound and counts the rest together', () => {
  const counter = new Counter('a_total', 'Help.', ['name']);
  for (let at = 0; at < 700; at += 1) counter.add(1, `name-${at}`);
  const samples = counter.samples();
  expect(samples).toHaveLength(501);
  expect(samples.find(({ labels }) => labels?.['name'] === 'other')?.value).toBe(200);
});

test('a histogram shows cumulative buckets, their sum and their count', async () => {
  const histogram = new Histogram('a_seconds', 'Help.', [0.1, 1]);
  for (const seconds of [0.1, 0.5, 7]) histogram.observe(seconds);
  expect((await renderMetrics([histogram], never)).split('\n').slice(2, -1)).toEqual([
    'a_seconds_bucket{le="0.1"} 1',
    'a_seconds_bucket{le="1"} 2',
    'a_seconds_bucket{le="+Inf"} 3',
    'a_seconds_sum 7.6',
    'a_seconds_count 3',
  ]);
});

test('a metric that cannot be read is left out and reported, and the others stay', async () => {
  const failed: string[] = [];
  const broken = gauge('broken', 'Help.', () => Promise.reject(new Error('away')));
  const text = await renderMetrics([broken, gauge('fine', 'Help.', () => [{ value: 1 }])], (name) =>
    failed.push(name),
  );
  expect(text).toBe('# HELP fine Help.\n# TYPE fine gauge\nfine 1\n');
  expect(failed).toEqual(['broken']);
});
