/** One line of the Prometheus text format. */
export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The series of a scrape; label values with escapes are not needed here and are refused. */
export function parseExposition(text: string): Series[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map(parseLine);
}

/** The value of the one series with this name and exactly these labels. */
export function valueOf(
  series: readonly Series[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  const wanted = JSON.stringify(Object.entries(labels).sort());
  const found = series.filter(
    (s) => s.name === name && JSON.stringify(Object.entries(s.labels).sort()) === wanted,
  );
  if (found.length !== 1) throw new Error(`${found.length} series ${name} ${wanted}`);
  return found[0]!.value;
}

function parseLine(line: string): Series {
  const match = /^([a-zA-Z_:][\w:]*)(?:\{([^\\]*)\})? (\S+)$/.exec(line);
  if (match === null) throw new Error(`not a series: ${line}`);
  const [, name, labels = '', value] = match;
  const pairs = [...labels.matchAll(/(\w+)="([^"]*)"(?:,|$)/g)].map(([, key, text]) => [key, text]);
  return {
    name: name!,
    labels: Object.fromEntries(pairs),
    value: Number(value!.replace('+Inf', 'Infinity')),
  };
}
