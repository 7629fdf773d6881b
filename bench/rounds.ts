/**
 * Interleaved measurement: each round runs every candidate once, so that a slow minute of the machine hits them all.
 *
 * Figures are medians with the quartiles beside them. A ratio is the median of the rounds' own ratios, not the
 * ratio of two medians, so drift between rounds cancels.
 */
export interface Samples {
  readonly [candidate: string]: readonly number[];
}

export async function interleave(
  rounds: number,
  candidates: Readonly<Record<string, () => Promise<number>>>,
  onRound: (round: number) => void,
): Promise<Samples> {
  const samples: Record<string, number[]> = {};
  // The first round warms caches and is thrown away.
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, measure] of Object.entries(candidates)) {
      const value = await measure();
      if (round > 0) (samples[name] ??= []).push(value);
    }
    onRound(round);
  }
  return samples;
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const position = (sorted.length - 1) * q;
  const low = sorted[Math.floor(position)] ?? Number.NaN;
  const high = sorted[Math.ceil(position)] ?? Number.NaN;
  return low + (high - low) * (position - Math.floor(position));
}

/** `median (first quartile–third quartile)`. */
export function spread(values: readonly number[], digits = 1): string {
  const [low, middle, high] = [0.25, 0.5, 0.75].map((q) => quantile(values, q).toFixed(digits));
  return `${middle} (${low}–${high})`;
}

/** The rounds' ratios of two candidates. */
export function ratios(samples: Samples, candidate: string, reference: string): readonly number[] {
  const below = samples[reference] ?? [];
  return (samples[candidate] ?? []).map((value, round) => value / (below[round] ?? Number.NaN));
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The median of the rounds' ratios, with the 95 % interval of that median by order statistics: `1.02 (0.97–1.08)`. */
export function interval(values: readonly number[], reference: readonly number[]): string {
  const sorted = values.map((value, round) => value / (reference[round] ?? Number.NaN)).sort((a, b) => a - b);
  // Ranks of a binomial with p = ½, by its normal approximation (Conover, Practical Nonparametric Statistics, 3.2).
  const half = 0.98 * Math.sqrt(sorted.length);
  const low = sorted[Math.max(0, Math.floor(sorted.length / 2 - half))] ?? Number.NaN;
  const high = sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length / 2 + half) - 1)] ?? Number.NaN;
  return `${median(sorted).toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`;
}
