import { tableText } from '../../demo/table.ts';
import { INVARIANTS } from '../../verify/finding.ts';
import type { Finding } from '../../verify/finding.ts';
import type { FaultToll, Verdict } from '../../verify/verify.ts';
import { grouped, printable } from '../dead/text.ts';

const BAR_MAX = 40;

/** The verdict for a person, as lines. */
export function verdictLines({ findings, state, tolls, coverage }: Verdict): string[] {
  return [
    tableText(
      [
        ['', 'left'],
        ['invariant', 'left'],
        ['verdict', 'left'],
        ['judged', 'right'],
        ['violations', 'right'],
      ],
      findings.map(({ id, state: verdict, seen, violations }) => [
        id,
        INVARIANTS[id],
        verdict,
        grouped(seen),
        grouped(violations),
      ]),
    ),
    ...findings.flatMap(exampleLines),
    ...tollLines(tolls),
    ...histogramLines(tolls),
    `seen: ${Object.entries(coverage)
      .map(([name, count]) => `${name} ${grouped(count)}`)
      .join(', ')}`,
    CLOSING[state],
  ];
}

const CLOSING: Readonly<Record<Verdict['state'], string>> = {
  held: 'verdict: held',
  violated: 'verdict: VIOLATED',
  invalid: 'verdict: INVALID, since the run did not see what it was to survive',
};

function exampleLines({ id, examples, violations }: Finding): string[] {
  const rest = violations - examples.length;
  return [
    ...examples.map((example) => `  ${id}: ${printable(example)}`),
    ...(rest > 0 ? [`  ${id}: … and ${grouped(rest)} more`] : []),
  ];
}

/** The faults by kind, kills by their point, and what they repeated. */
function tollLines(tolls: readonly FaultToll[]): string[] {
  const kinds = new Map<string, number[]>();
  for (const { fault, duplicates } of tolls) {
    const kind = fault.what === 'kill' ? `kill ${fault.point ?? 'at random'}` : fault.what;
    kinds.set(kind, [...(kinds.get(kind) ?? []), duplicates]);
  }
  if (kinds.size === 0) return [];
  return [
    tableText(
      [
        ['fault', 'left'],
        ['times', 'right'],
        ['duplicates', 'right'],
        ['most of one', 'right'],
      ],
      [...kinds]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([kind, counts]) => [
          kind,
          grouped(counts.length),
          grouped(counts.reduce((sum, count) => sum + count, 0)),
          grouped(Math.max(...counts)),
        ]),
    ),
  ];
}

/** How many faults of each kind repeated how many requests. */
function histogramLines(tolls: readonly FaultToll[]): string[] {
  if (tolls.length === 0) return [];
  const counts = new Map<string, number>();
  for (const { fault, duplicates } of tolls) {
    const key = `${fault.what.padEnd(10)} ${bucketText(duplicates)}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [
    'duplicates per fault',
    ...[...counts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, count]) => `  ${key} ${'█'.repeat(Math.min(BAR_MAX, count))} ${count}`),
  ];
}

/** 0, 1, 2–3, 4–7, 8–15 … so that it sorts as text. */
function bucketText(duplicates: number): string {
  if (duplicates < 2) return `${String(duplicates).padStart(4)}     `;
  const from = 2 ** Math.floor(Math.log2(duplicates));
  return `${String(from).padStart(4)}–${String(2 * from - 1).padEnd(4)}`;
}

export function verdictJson({ findings, ...rest }: Verdict): Record<string, unknown> {
  return {
    ...rest,
    findings: findings.map(({ id, state, seen, violations, examples }) => ({
      id,
      invariant: INVARIANTS[id],
      state,
      seen,
      violations,
      examples,
    })),
  };
}
