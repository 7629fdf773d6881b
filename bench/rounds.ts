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
