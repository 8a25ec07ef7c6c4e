import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { parseDurationMs, parseRatePerSecond } from '../../config/units.ts';
import { UserError } from '../../domain/errors.ts';
import { DEAD_KINDS, parsePlace } from '../../dead/dead-letter.ts';
import type { DeadKind, Place } from '../../dead/dead-letter.ts';
import type { DeadLetterFilter } from '../../dead/filter.ts';
import { globMatches } from '../../route/glob.ts';
import type { ConfigOptions } from '../config-option.ts';

/** Options that choose dead letters, as commander gives them. */
export interface FilterOptions extends ConfigOptions {
  readonly tenant?: string;
  readonly destination?: string;
  readonly reason?: string;
  readonly kind?: DeadKind;
  readonly type?: readonly string[];
  readonly status?: StatusRange;
  readonly since?: Moment;
  readonly until?: Moment;
}

/** Both ends included. */
export interface StatusRange {
  readonly from: number;
  readonly to: number;
}

/** A point in time, or how long ago it was. */
export type Moment = { readonly atMs: number } | { readonly agoMs: number };

const FILTER_NAMES = ['tenant', 'destination', 'reason', 'kind', 'type', 'status', 'since', 'until'] as const;

/** A date, or a date and time with its zone; a time without one could be meant in several. */
const DATE = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/;
const MAX_LIMIT = 10_000;
const MAX_RATE_PER_SECOND = 100_000;

/** Each reader turns an option's text into its value. @throws InvalidArgumentError saying what is allowed. */
export const readDeadOption = {
  kind: (text: string): DeadKind => {
    const kind = DEAD_KINDS.find((known) => known === text);
    if (kind === undefined) throw new InvalidArgumentError(`Allowed: ${DEAD_KINDS.join(', ')}.`);
    return kind;
  },

  type: (text: string): readonly string[] => text.split(',').map((glob) => glob.trim()),

  status: (text: string): StatusRange => {
    const [, hundreds] = /^([1-5])xx$/i.exec(text) ?? [];
    if (hundreds !== undefined) return { from: Number(hundreds) * 100, to: Number(hundreds) * 100 + 99 };
    const status = /^(?:0|[1-9]\d{2})$/.test(text) ? Number(text) : -1;
    if (status < 0) throw new InvalidArgumentError('Allowed: 503, 4xx, or 0 for no answer.');
    return { from: status, to: status };
  },

  moment: (text: string): Moment => {
    const agoMs = parseDurationMs(text);
    if (agoMs !== null) return { agoMs };
    const atMs = DATE.test(text) ? Date.parse(text) : NaN;
    if (Number.isNaN(atMs))
      throw new InvalidArgumentError('Allowed: 2026-08-01, 2026-08-01T10:00Z, or how long ago: 30m, 2h, 7d.');
    return { atMs };
  },

  limit: (text: string): number => {
    const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0;
    if (limit < 1 || limit > MAX_LIMIT)
      throw new InvalidArgumentError(`Allowed: a whole number, 1 to ${MAX_LIMIT}.`);
    return limit;
  },

  rate: (text: string): number => {
    const rate = parseRatePerSecond(text);
    if (rate === null || rate <= 0 || rate > MAX_RATE_PER_SECOND)
      throw new InvalidArgumentError('Allowed: 50/s, 600/m, 10/h.');
    return rate;
  },
};

export function addFilterOptions(command: Command): Command {
  return command
    .option('--tenant <id>', 'of this tenant')
    .option('--destination <id>', 'for this destination')
    .option('--reason <reason>', 'that ended so: http_503, deadline, worker_crash …')
    .option('--kind <kind>', `whom it is about: ${DEAD_KINDS.join(', ')}`, readDeadOption.kind)
    .option(
      '--type <globs>',
      'of these event types, separated by commas (contact.*,email.sent)',
      readDeadOption.type,
    )
    .option('--status <status>', 'last answered so: 503, 4xx, or 0 for no answer', readDeadOption.status)
    .option('--since <time>', 'dead since: 2026-08-01T10:00Z, or 2h ago', readDeadOption.moment)
    .option('--until <time>', 'dead before: 2026-08-01T10:00Z, or 2h ago', readDeadOption.moment);
}

/** @param nowMs what "ago" is counted from, Unix epoch milliseconds. */
export function filterOf(options: FilterOptions, nowMs: number): DeadLetterFilter {
  const { type: globs } = options;
  return {
    tenant: options.tenant ?? null,
    destinationId: options.destination ?? null,
    reason: options.reason ?? null,
    kind: options.kind ?? null,
    isWantedType:
      globs === undefined ? null : (eventType) => globs.some((glob) => globMatches(glob, eventType)),
    status: options.status ?? null,
    sinceMs: momentMs(options.since, nowMs),
    untilMs: momentMs(options.until, nowMs),
  };
}

/**
 * The places named on the command line.
 * @throws UserError for a text that is none, and for places beside filters.
 */
export function placesOf(texts: readonly string[], options: FilterOptions): Place[] {
  const places = texts.map(placeOf);
  const filter = FILTER_NAMES.find((name) => options[name] !== undefined);
  if (places.length > 0 && filter !== undefined)
    throw new UserError([`--${filter} and ${texts[0] ?? ''}: name dead letters, or describe them, not both`]);
  return places;
}

/** @throws UserError saying what is allowed. */
export function placeOf(text: string): Place {
  const place = parsePlace(text);
  if (place === null)
    throw new UserError([
      `dead letter "${text}" is not allowed; allowed: PARTITION:OFFSET of the dead-letter topic, such as 3:1207`,
    ]);
  return place;
}

function momentMs(moment: Moment | undefined, nowMs: number): number | null {
  if (moment === undefined) return null;
  return 'atMs' in moment ? moment.atMs : nowMs - moment.agoMs;
}
