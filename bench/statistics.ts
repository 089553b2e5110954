/** Nearest-rank percentile, 0 < p ≤ 100; the least value for 0. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return (
    sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil((p / 100) * sorted.length) - 1))] ??
    Number.NaN
  );
}

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}
