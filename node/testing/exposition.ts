/**
 * Parses Prometheus' text format as strictly as a scrape does, and reports what a linter would. Throws for an invalid line.
 */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

const samplePattern = /^([a-z_:][\w:]*)(?:\{(.*)\})? (\S+)$/i;
const labelPattern = /([a-z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/giy;

export function parseExposition(text: string): readonly Family[] {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const families: { name: string; type: string; help: string; samples: Sample[] }[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (keyword === 'HELP') {
      families.push({ name, type: 'untyped', help: rest, samples: [] });
      continue;
    }
    const family = families.at(-1);
    if (family === undefined) throw new Error(`a sample before any metric: ${line}`);
    if (keyword === 'TYPE') {
      if (family.name !== name) throw new Error(`a type without its help: ${line}`);
      family.type = rest;
      continue;
    }
    const sample = parseSample(line);
    if (!sampleNames(family).includes(sample.name)) throw new Error(`a sample of another metric: ${line}`);
    family.samples.push(sample);
  }
  return families;
}

function parseSample(line: string): Sample {
  const [, name = '', inside = '', number = ''] = samplePattern.exec(line) ?? [];
  if (name === '') throw new Error(`neither a comment nor a sample: ${line}`);
  const labels: Record<string, string> = {};
  let read = 0;
  for (const [all, label = '', value = ''] of inside.matchAll(labelPattern)) {
    if (label in labels) throw new Error(`a label twice: ${line}`);
    labels[label] = value;
    read += all.length;
  }
  if (read !== inside.length) throw new Error(`labels that cannot be read: ${line}`);
  const value = { '+inf': Infinity, '-inf': -Infinity }[number.toLowerCase()] ?? Number(number);
  if (Number.isNaN(value) && number.toLowerCase() !== 'nan') throw new Error(`no number: ${line}`);
  return { name, labels, value };
}

/** Names that samples of the metric have. */
export function sampleNames({ name, type }: Pick<Family, 'name' | 'type'>): readonly string[] {
  return type === 'histogram' || type === 'summary' ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];
}

/** What is wrong with the metrics, one sentence each. */
export function lintExposition(families: readonly Family[]): readonly string[] {
  const problems: string[] = [];
  const say = (name: string, problem: string): void => void problems.push(`${name} ${problem}`);
  const seen = new Set<string>();
  for (const { name, type, help, samples } of families) {
    if (seen.has(name)) say(name, 'is there twice');
    seen.add(name);
    if (!/^[a-z][a-z0-9]*(?:_[a-z0-9]+)*$/.test(name)) say(name, 'is not in snake case');
    if (help.trim() === '') say(name, 'has no help');
    if (type === 'untyped') say(name, 'has no type');
    if ((type === 'counter') !== name.endsWith('_total')) say(name, 'is no counter, or lacks _total');
    if (/_(?:ms|milliseconds|minutes|hours|days|kb|mb|percent)(?:_|$)/.test(name)) say(name, 'is not in base units');
    if (/_seconds(?:_|$)/.test(name) && !/second/.test(help)) say(name, 'does not say its unit');
    const series = samples.map(
      (sample) => `${sample.name}${JSON.stringify(Object.entries(sample.labels).map(String).sort())}`,
    );
    if (new Set(series).size !== series.length) say(name, 'has a series twice');
    for (const { labels, value } of samples) {
      if (type === 'counter' && !(value >= 0)) say(name, `counts ${value}`);
      if (type !== 'histogram' && 'le' in labels) say(name, 'has the label of a bucket');
    }
  }
  return problems;
}
