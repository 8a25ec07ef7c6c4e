const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const;

/** The name of a delay's topic: `eventdispatch.retry.30s`. Different delays have different names. */
export function delayTopicName(prefix: string, delayMs: number): string {
  for (const [unit, unitMs] of UNITS) {
    if (delayMs % unitMs === 0) return `${prefix}.${delayMs / unitMs}${unit}`;
  }
  return `${prefix}.${delayMs}ms`;
}
