/** Numbers as the demo shows them. */

const BLOCKS = '▁▂▃▄▅▆▇█';
const MB = 1024 * 1024;

/** `12,345` */
export function grouped(count: number): string {
  return Math.round(count).toLocaleString('en');
}

/** `7.4 ms`, `430 ms`, `2.1 s`; a dash when there is none. */
export function milliseconds(ms: number | null): string {
  if (ms === null) return '–';
  if (ms >= 1_000) return `${(ms / 1_000).toFixed(1)} s`;
  return `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
}

export function megabytes(bytes: number): string {
  return `${grouped(bytes / MB)} MB`;
}

/** One character a value, the tallest for the greatest. */
export function sparkline(values: readonly number[]): string {
  const greatest = Math.max(1, ...values);
  const highest = BLOCKS.length - 1;
  return values.map((value) => BLOCKS[Math.round((Math.max(0, value) / greatest) * highest)]).join('');
}

/** A bar of `width` characters. @param share 0 to 1. */
export function bar(share: number, width: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * width);
  return '█'.repeat(filled) + '░'.repeat(width - filled);
}
