import { z } from 'zod';
import {
  formatDuration,
  formatRate,
  formatSize,
  parseDurationMs,
  parseRatePerSecond,
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

function described<T extends z.ZodType>(schema: T, info: FieldInfo): T {
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
    allowed: `a duration with a unit (ms, s, m, h, d), ${formatDuration(range.min)} to ${formatDuration(range.max)}`,
    read: (raw) => (typeof raw === 'string' ? inRange(parseDurationMs(raw), range) : null),
  });
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
  return flatMap(description, allowed, isScalar);
}

export function textMap(description: string, allowed: string): Leaf<Record<string, string>> {
  return flatMap(description, allowed, (value): value is string => typeof value === 'string');
}

function flatMap<T>(
  description: string,
  allowed: string,
  accepts: (value: unknown) => value is T,
): Leaf<Record<string, T>> {
  return leaf({
    description,
    allowed,
    read: (raw) => (isRecord(raw) ? (raw as Record<string, T>) : null),
    wrongKeys: (map) => Object.keys(map).filter((key) => !accepts(map[key])),
    textForm: 'yaml',
    isSecret: true,
  });
}

function isScalar(value: unknown): value is Scalar {
  return typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

type Shape = Readonly<Record<string, z.ZodType>>;
type Output<S extends Shape> = z.output<z.ZodObject<{ -readonly [K in keyof S]: S[K] }>>;

interface Section<S extends Shape> {
  /** Absent is an empty section: every field takes its default. */
  always(): z.ZodType<Output<S>>;
  optional(): z.ZodType<Output<S> | undefined>;
  /** `word` in its place is null; absent is what `defaultText` says. */
  orWord(word: string, absent: 'empty' | 'word'): z.ZodType<Output<S> | null>;
  /** The same, and absent stays absent. */
  orWordOptional(word: string, shown: string): z.ZodType<Output<S> | null | undefined>;
}

export function section<S extends Shape>(description: string, shape: S): Section<S> {
  const object = z.strictObject(shape) as unknown as z.ZodType<Output<S>>;
  const info = (word: string | null, defaultText: string | null): SectionInfo => ({
    kind: 'section',
    description,
    shape,
    word,
    defaultText,
  });
  const withWord = (word: string): z.ZodType<Output<S> | null> =>
    z.unknown().transform((raw, context): Output<S> | null => {
      // YAML 1.1 habits write `off` for false; both say the same here.
      if (raw === word || raw === false) return null;
      const parsed = object.safeParse(raw);
      if (parsed.success) return parsed.data;
      for (const issue of parsed.error.issues) {
        context.issues.push({ ...issue, path: [...issue.path], input: raw } as z.core.$ZodRawIssue);
      }
      return z.NEVER;
    });
  return {
    always: () => described(object.prefault({} as never), info(null, null)),
    optional: () => described(object.optional(), info(null, null)),
    orWord: (word, absent) =>
      described(
        withWord(word).prefault(absent === 'word' ? word : {}),
        info(word, absent === 'word' ? word : null),
      ),
    orWordOptional: (word, shown) => described(withWord(word).optional(), info(word, shown)),
  };
}

/** One section per entry of a list. */
export function sectionList<T>(description: string, element: z.ZodType<T>): z.ZodType<T[]> {
  const info = { kind: 'list', description, element } as const;
  return described(z.array(element).prefault([] as never), info);
}

/** One section per name. */
export function sectionMap<T>(description: string, element: z.ZodType<T>): z.ZodType<Record<string, T>> {
  const info = { kind: 'map', description, element } as const;
  return described(z.record(z.string(), element).prefault({}), info);
}
