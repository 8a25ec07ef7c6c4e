/**
 * Five bounds a decade, each about 1.58 times the one before (every second
 * number of the Renard series R10), so that a quantile read from them is off by
 * at most that factor and every bound is a short decimal.
 */
const STEPS = [5, 8, 12.5, 20, 31.5] as const;
const SMALLEST_EXPONENT = -4;
const DECADES = 6;

/** Upper bounds in seconds, ascending, from 0.5 ms to 800 s. A last, unbounded bucket follows them. */
export const LATENCY_BOUNDS: readonly number[] = [
  ...Array.from({ length: DECADES }, (_, decade) =>
    STEPS.map((step) => scaled(step, SMALLEST_EXPONENT + decade)),
  ).flat(),
  500,
  800,
];

/** Buckets of a histogram, the unbounded one included. */
export const LATENCY_BUCKETS = LATENCY_BOUNDS.length + 1;

/** Through text, since 12.5 × 10⁻⁴ in binary arithmetic is not always the double nearest to 0.00125. */
function scaled(step: number, exponent: number): number {
  return Number(`${step}e${exponent}`);
}

const bounds = Float64Array.from(LATENCY_BOUNDS);
const LOWEST = bounds[0] as number;
const HIGHEST = bounds[bounds.length - 1] as number;

/*
 * A double's exponent and its two highest mantissa bits number cells of which
 * four make an octave. A cell spans at most a factor of 1.25, so no two bounds
 * share one: the bucket of its lower edge is right, or the next one is. This
 * takes a few nanoseconds where a binary search over spread-out durations took
 * 42, nearly all of it mispredicted branches.
 */
const CELL_SHIFT = 18;
const scratch = new Float64Array(1);
const scratchWords = new Uint32Array(scratch.buffer);
const HIGH_WORD = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? 1 : 0;
const FIRST_CELL = cellOf(LOWEST);
const bucketOfCell = Uint8Array.from({ length: cellOf(HIGHEST) - FIRST_CELL + 1 }, (_, cell) =>
  LATENCY_BOUNDS.findIndex((bound) => bound >= lowerEdge(FIRST_CELL + cell)),
);

function cellOf(seconds: number): number {
  scratch[0] = seconds;
  return (scratchWords[HIGH_WORD] as number) >>> CELL_SHIFT;
}

function lowerEdge(cell: number): number {
  scratchWords[HIGH_WORD] = cell << CELL_SHIFT;
  scratchWords[1 - HIGH_WORD] = 0;
  return scratch[0] as number;
}

/** The bucket a duration in seconds falls into: the first whose bound is not below it. */
export function latencyBucket(seconds: number): number {
  if (seconds <= LOWEST) return 0;
  if (seconds > HIGHEST) return bounds.length;
  const bucket = bucketOfCell[cellOf(seconds) - FIRST_CELL] as number;
  return (bounds[bucket] as number) < seconds ? bucket + 1 : bucket;
}

/**
 * The q-quantile (0..1) in seconds of counts per bucket (not cumulative), linear
 * inside its bucket, the way Prometheus's `histogram_quantile` reads them: NaN
 * when nothing was counted, the highest bound when it lies beyond that.
 */
export function quantile(buckets: Float64Array, q: number): number {
  const total = buckets.reduce((sum, inBucket) => sum + inBucket, 0);
  if (total === 0) return Number.NaN;
  const rank = Math.min(1, Math.max(0, q)) * total;
  let below = 0;
  for (const [i, inBucket] of buckets.subarray(0, bounds.length).entries()) {
    if (inBucket > 0 && below + inBucket >= rank) return interpolated(i, (rank - below) / inBucket);
    below += inBucket;
  }
  return bounds[bounds.length - 1] as number;
}

function interpolated(bucket: number, share: number): number {
  const upper = bounds[bucket] as number;
  const lower = bucket === 0 ? 0 : (bounds[bucket - 1] as number);
  return lower + (upper - lower) * share;
}
