import { z } from 'zod';
import { described } from './fields.ts';
import type { SectionInfo } from './fields.ts';

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
