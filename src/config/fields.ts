import { z } from 'zod';
import { PRIORITIES } from '../domain/destination.ts';
import type { Priority } from '../domain/destination.ts';
import {
  formatDuration,
  formatRate,
  formatSize,
  parseDurationMs,
  parseRatePerSecond,
  parseShare,
  parseSizeBytes,
} from './units.ts';

/**
 * The building blocks of `schema.ts`. Each one is a zod schema that turns what
 * was written into base units, and carries a description of itself, from which
 * the problems, the environment mapping and the reference are made.
 */

/** How a value given as text, in an environment variable, is to be read. */
export type TextForm = 'text' | 'number' | 'list' | 'yaml';

interface Described {
  readonly description: string;
  /** What is allowed, in words that follow "allowed:". */
  readonly allowed: string;
  /** The default as one would write it; null when there is none. */
  readonly defaultText: string | null;
}

export interface LeafInfo extends Described {
  readonly kind: 'leaf';
  readonly textForm: TextForm;
  /** Never shown, not even when it is wrong. */
  readonly isSecret: boolean;
  /** Absent is a problem. The type stays optional, so that one missing field does not hide other problems. */
  readonly isRequired: boolean;
}

export interface SectionInfo {
  readonly kind: 'section';
  readonly description: string;
  readonly shape: Readonly<Record<string, z.ZodType>>;
  /** The word that may stand in place of the section (`off`, `none`), or null. */
  readonly word: string | null;
  readonly defaultText: string | null;
}

/** A list of sections. */
export interface ListInfo {
  readonly kind: 'list';
  readonly description: string;
  readonly element: z.ZodType;
}

/** A map of sections, by names of the user's own. */
export interface MapInfo {
  readonly kind: 'map';
  readonly description: string;
  readonly element: z.ZodType;
}

export type FieldInfo = LeafInfo | SectionInfo | ListInfo | MapInfo;

const descriptions = new WeakMap<z.ZodType, FieldInfo>();

/** Remembers what a schema says about itself. */
export function described<T extends z.ZodType>(schema: T, info: FieldInfo): T {
  descriptions.set(schema, info);
  return schema;
}

/** @throws Error when the schema was not built by this file: a mistake in `schema.ts`. */
export function infoOf(schema: z.ZodType): FieldInfo {
  const info = descriptions.get(schema);
  if (info === undefined) throw new Error('a configuration field without a description');
  return info;
}

/** The field at a path of keys, as far as the schema names it; null for an unknown key. */
export function fieldAt(root: z.ZodType, path: readonly PropertyKey[]): FieldInfo | null {
  let info = infoOf(root);
  for (const key of path) {
    if (info.kind === 'leaf') return info;
    const child = info.kind === 'section' ? info.shape[String(key)] : info.element;
    if (child === undefined) return null;
    info = infoOf(child);
  }
  return info;
}

/** What one leaf needs besides its description: a reader that gives null for what is not allowed. */
interface LeafSpec<T> {
  readonly description: string;
  readonly allowed: string;
  readonly read: (raw: unknown) => T | null;
  /** Keys inside the value that are not allowed, each a problem of its own. */
  readonly wrongKeys?: (value: T) => readonly string[];
  readonly textForm?: TextForm;
  readonly isSecret?: boolean;
}

interface Leaf<T> {
  /** Absent stays absent; `shown` says in words what that means. */
  optional(shown?: string): z.ZodType<T | undefined>;
  /** Absent is a problem, found by `missingFields`. */
  required(): z.ZodType<T | undefined>;
  /** Absent means this, written as a user would write it; `shown` is for defaults that depend on the machine. */
  byDefault(raw: unknown, shown?: string): z.ZodType<T>;
}

function leaf<T>(spec: LeafSpec<T>): Leaf<T> {
  const schema = z.unknown().transform((raw, context): T => {
    const value = spec.read(raw);
    if (value === null) {
      context.addIssue({ code: 'custom', message: '' });
      return z.NEVER;
    }
    for (const key of spec.wrongKeys?.(value) ?? []) {
      context.issues.push({ code: 'custom', message: '', path: [key], input: raw });
    }
    return value;
  });
  const info = (defaultText: string | null, isRequired = false): LeafInfo => ({
    kind: 'leaf',
    description: spec.description,
    allowed: spec.allowed,
    defaultText,
    textForm: spec.textForm ?? 'text',
    isSecret: spec.isSecret ?? false,
    isRequired,
  });
  return {
    optional: (shown) => described(schema.optional(), info(shown ?? null)),
    required: () => described(schema.optional(), info(null, true)),
    byDefault: (raw, shown) => described(schema.prefault(raw), info(shown ?? textOf(raw))),
  };
}

function textOf(raw: unknown): string {
  return typeof raw === 'string' ? raw : JSON.stringify(raw);
}

interface Range {
  readonly min: number;
  readonly max: number;
}

function inRange(value: number | null, { min, max }: Range): number | null {
  return value !== null && value >= min && value <= max ? value : null;
}

export function duration(description: string, range: Range): Leaf<number> {
  return leaf({
    description,
    allowed: durationWords(range),
    read: (raw) => readDuration(raw, range),
  });
}

/** The same, or the word `none`. */
export function durationOrNone(description: string, range: Range): Leaf<number | 'none'> {
  return leaf({
    description,
    allowed: `${durationWords(range)}; or none`,
    read: (raw) => (raw === 'none' ? raw : readDuration(raw, range)),
  });
}

interface ListRange extends Range {
  readonly maxItems: number;
  /** Each one longer than the one before. */
  readonly isAscending: boolean;
}

/** Durations, at least one; a single one is a list of one. */
export function durationList(description: string, range: ListRange): Leaf<number[]> {
  return leaf({
    description,
    allowed: durationListWords(range),
    read: (raw) => readDurations(raw, range),
    textForm: 'list',
  });
}

/** The same, or the word `none`. */
export function durationListOrNone(description: string, range: ListRange): Leaf<number[] | 'none'> {
  return leaf({
    description,
    allowed: `${durationListWords(range)}; or none`,
    // A list of one is how a variable gives a word.
    read: (raw) => (asList(raw).join() === 'none' ? 'none' : readDurations(raw, range)),
    textForm: 'list',
  });
}

function durationWords({ min, max }: Range): string {
  return `a duration with a unit (ms, s, m, h, d), ${formatDuration(min)} to ${formatDuration(max)}`;
}

function durationListWords({ min, max, maxItems, isAscending }: ListRange): string {
  const order = isAscending ? ', each longer than the one before' : '';
  return `a list of 1 to ${maxItems} durations with a unit (ms, s, m, h, d), ${formatDuration(min)} to ${formatDuration(max)}${order}`;
}

function readDuration(raw: unknown, range: Range): number | null {
  return typeof raw === 'string' ? inRange(parseDurationMs(raw), range) : null;
}

function readDurations(raw: unknown, { min, max, maxItems, isAscending }: ListRange): number[] | null {
  const durations = asList(raw).map((item) => readDuration(item, { min, max }) ?? Number.NaN);
  const isRight = durations.every(
    (durationMs, index) =>
      !Number.isNaN(durationMs) && !(isAscending && durationMs <= (durations[index - 1] ?? -1)),
  );
  return isRight && durations.length >= 1 && durations.length <= maxItems ? durations : null;
}

function asList(raw: unknown): readonly unknown[] {
  return Array.isArray(raw) ? raw : [raw];
}

/** A part of a whole, 0…1. */
export function share(description: string, range: Range): Leaf<number> {
  return leaf({
    description,
    allowed: `a percentage such as 50%, or a number such as 0.5; ${range.min * 100}% to ${range.max * 100}%`,
    read: (raw) =>
      inRange(typeof raw === 'string' ? parseShare(raw) : typeof raw === 'number' ? raw : null, range),
    textForm: 'yaml',
  });
}

/** One number for every priority, or a map with some of them. */
export function integerByPriority(
  description: string,
  range: Range,
): Leaf<Readonly<Partial<Record<Priority, number>>>> {
  const isCount = (value: unknown): value is number =>
    Number.isInteger(value) && inRange(value as number, range) !== null;
  return leaf({
    description,
    allowed: `a whole number, ${range.min} to ${range.max}; or a map of ${PRIORITIES.join(', ')} with such numbers`,
    read: (raw) => {
      if (isRecord(raw)) return raw;
      return isCount(raw) ? { high: raw, normal: raw, low: raw } : null;
    },
    wrongKeys: (map) =>
      Object.entries(map).flatMap(([key, value]) =>
        PRIORITIES.some((priority) => priority === key) && isCount(value) ? [] : [key],
      ),
    textForm: 'yaml',
  });
}

/** Whole numbers by names of the user's own. */
export function integerMap(
  description: string,
  { min, max, names }: Range & { readonly names: string },
): Leaf<Record<string, number>> {
  return flatMap(
    description,
    `a map of ${names} to whole numbers, ${min} to ${max}`,
    (value) => Number.isInteger(value) && inRange(value as number, { min, max }) !== null,
  );
}

/** One of a few words by names of the user's own. */
export function choiceMap<const Word extends string>(
  description: string,
  words: readonly Word[],
  { names }: { readonly names: string },
): Leaf<Record<string, Word>> {
  return flatMap(description, `a map of ${names} to ${words.join(' or ')}`, (value) =>
    words.some((word) => word === value),
  );
}

export function size(description: string, range: Range): Leaf<number> {
  return leaf({
    description,
    allowed: `a size with a unit (b, kb, mb, gb; 1kb is 1024b), ${formatSize(range.min)} to ${formatSize(range.max)}`,
    read: (raw) => (typeof raw === 'string' ? inRange(parseSizeBytes(raw), range) : null),
  });
}

export function rate(description: string, range: Range): Leaf<number> {
  return leaf({
    description,
    allowed: `a number per s, m or h such as 100/s or 6000/m, ${formatRate(range.min)} to ${formatRate(range.max)}`,
    read: (raw) => (typeof raw === 'string' ? inRange(parseRatePerSecond(raw), range) : null),
  });
}

export function integer(description: string, range: Range): Leaf<number> {
  return leaf({
    description,
    allowed: `a whole number, ${range.min} to ${range.max}`,
    read: (raw) => (Number.isInteger(raw) ? inRange(raw as number, range) : null),
    textForm: 'number',
  });
}

/** `true` or `false`. */
export function flag(description: string): Leaf<boolean> {
  return leaf({
    description,
    allowed: 'true | false',
    read: (raw) => (typeof raw === 'boolean' ? raw : null),
    textForm: 'yaml',
  });
}

export function oneOf<const W extends string>(description: string, words: readonly W[]): Leaf<W> {
  return leaf({
    description,
    allowed: words.join(' | '),
    read: (raw) => words.find((word) => word === raw) ?? null,
  });
}

/** Text that matches `pattern`. A number is none: YAML reads `007` as 7, so ids that look like one need quotes. */
export function text(description: string, allowed: string, pattern = /^[^\0\r\n]+$/): Leaf<string> {
  return leaf({ description, allowed, read: (raw) => readText(raw, pattern) });
}

export function secret(description: string): Leaf<string> {
  return leaf({
    description,
    allowed: 'text on one line; a number needs quotes',
    read: (raw) => readText(raw, /^[^\0\r\n]*$/),
    isSecret: true,
  });
}

function readText(raw: unknown, pattern: RegExp): string | null {
  return typeof raw === 'string' && pattern.test(raw) ? raw : null;
}

/** A list of texts; a single text is a list of one. */
export function textList(
  description: string,
  allowed: string,
  accepts: (item: string) => boolean,
): Leaf<string[]> {
  return leaf({
    description,
    allowed,
    read: (raw) => {
      const items: unknown = typeof raw === 'string' ? [raw] : raw;
      const isRight =
        Array.isArray(items) && items.every((item) => typeof item === 'string' && accepts(item));
      return isRight ? (items as string[]) : null;
    },
    textForm: 'list',
  });
}

export type Scalar = string | number | boolean;

/** A flat map with names of the user's own; its values may be secrets, so a problem never shows them. */
export function scalarMap(description: string, allowed: string): Leaf<Record<string, Scalar>> {
  return flatMap(description, allowed, isScalar, true);
}

export function textMap(description: string, allowed: string): Leaf<Record<string, string>> {
  return flatMap(description, allowed, (value) => typeof value === 'string', true);
}

/** Values by names of the user's own. */
function flatMap<T>(
  description: string,
  allowed: string,
  accepts: (value: unknown) => boolean,
  isSecret = false,
): Leaf<Record<string, T>> {
  return leaf({
    description,
    allowed,
    read: (raw) => (isRecord(raw) ? (raw as Record<string, T>) : null),
    wrongKeys: (map) => Object.keys(map).filter((key) => !accepts(map[key])),
    textForm: 'yaml',
    isSecret,
  });
}

function isScalar(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
