import type { z } from 'zod';
import { infoOf, isRecord } from './fields.ts';

/**
 * Takes `key:` with nothing after it as absent, wherever the schema has the key;
 * in maps with names of the user's own it stays, and is a problem there.
 */
export function withoutNulls(raw: unknown, schema: z.ZodType): unknown {
  const info = infoOf(schema);
  if (info.kind === 'leaf') return raw;
  if (info.kind === 'list') {
    return Array.isArray(raw) ? raw.map((item: unknown) => withoutNulls(item, info.element)) : raw;
  }
  if (!isRecord(raw)) return raw;
  const isKnown = (key: string): boolean => info.kind === 'section' && Object.hasOwn(info.shape, key);
  const present = Object.entries(raw).filter(([key, value]) => value !== null || !isKnown(key));
  return Object.fromEntries(
    present.map(([key, value]) => {
      const child = info.kind === 'map' ? info.element : info.shape[key];
      return [key, child === undefined ? value : withoutNulls(value, child)];
    }),
  );
}
