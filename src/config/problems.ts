import type { z } from 'zod';
import { fieldAt, infoOf, isRecord } from './fields.ts';
import type { FieldInfo } from './fields.ts';
import { nearest } from './nearest.ts';
import type { Path } from './paths.ts';
import { isSecretProperty, redactUrls } from './redact.ts';

/** One thing that is wrong with the configuration. */
export interface Problem {
  readonly path: Path;
  /** Follows the value, when it is shown, or the key. */
  readonly text: string;
  readonly showsValue: boolean;
}

/** How checks report: the value stands before the text. */
export type Report = (path: Path, text: string) => void;

const LONGEST_SHOWN = 80;

/** Turns what zod found into problems in the words of the schema. */
export function schemaProblems(issues: readonly z.core.$ZodIssue[], root: z.ZodType): Problem[] {
  return issues.flatMap((issue) => {
    const path = issue.path as (string | number)[];
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => unknownKey([...path, key], fieldAt(root, path)));
    }
    return [{ path, text: `is not allowed; allowed: ${allowedAt(path, root)}`, showsValue: true }];
  });
}

function unknownKey(path: Path, parent: FieldInfo | null): Problem {
  const known = parent?.kind === 'section' ? Object.keys(parent.shape) : [];
  const meant = nearest(String(path.at(-1)), known);
  const text =
    meant === null ? `unknown key; allowed: ${known.join(', ')}` : `unknown key; did you mean ${meant}?`;
  return { path, text, showsValue: false };
}

function allowedAt(path: Path, root: z.ZodType): string {
  const info = fieldAt(root, path);
  switch (info?.kind) {
    case 'leaf':
      return info.allowed;
    case 'list':
      return 'a list';
    case 'map':
      return 'a map';
    case 'section':
      return `a map of ${Object.keys(info.shape).join(', ')}${info.word === null ? '' : `; or ${info.word}`}`;
    case undefined:
      return 'something else';
  }
}

/** Required keys that are absent from sections that are there. */
export function missingFields(raw: unknown, schema: z.ZodType, path: Path = []): Problem[] {
  const info = infoOf(schema);
  if (info.kind === 'list') {
    const items: unknown[] = Array.isArray(raw) ? raw : [];
    return items.flatMap((item, index) => missingFields(item, info.element, [...path, index]));
  }
  if (!isRecord(raw) || info.kind === 'leaf') return [];
  if (info.kind === 'map') {
    return Object.entries(raw).flatMap(([key, item]) => missingFields(item, info.element, [...path, key]));
  }
  return Object.entries(info.shape).flatMap(([key, child]) => {
    const childInfo = infoOf(child);
    const childPath = [...path, key];
    if (childInfo.kind !== 'leaf') return missingFields(raw[key], child, childPath);
    if (!childInfo.isRequired || raw[key] !== undefined) return [];
    return [{ path: childPath, text: `is required; allowed: ${childInfo.allowed}`, showsValue: false }];
  });
}

/** A value as a problem may show it: as it was written, with no secret in it. */
export function shown(written: unknown, path: Path, root: z.ZodType): string {
  const info = fieldAt(root, path);
  if (info?.kind === 'leaf' && info.isSecret && !isPlainProperty(path)) return 'the value (not shown)';
  if (isRecord(written)) return 'a map';
  const isPlainList = info?.kind === 'leaf' && info.textForm === 'list';
  if (Array.isArray(written) && !isPlainList) return 'a list';
  const text = redactUrls(JSON.stringify(written ?? null));
  return text.length <= LONGEST_SHOWN ? text : `${text.slice(0, LONGEST_SHOWN)}…`;
}

/** A librdkafka property by name is shown unless its name says that it is secret; a header never is. */
function isPlainProperty(path: Path): boolean {
  const [section, map, name] = path;
  const isProperty = section === 'kafka' && typeof map === 'string' && /properties$/i.test(map);
  return isProperty && typeof name === 'string' && !isSecretProperty(name);
}
