import { PRIORITIES } from '../domain/destination.ts';
import type { FieldMapping, FieldSource, PrioritySource } from '../domain/event.ts';

const NAMES = ['id', 'type', 'tenant', 'time', 'version', 'source', 'key', 'correlationId'] as const;

/** Those that an event is not given unless somebody says where they are. */
const EXTRAS = ['aggregateType', 'aggregateId', 'aggregateVersion', 'expiresAt'] as const;

type Name = (typeof NAMES)[number];
type OptionalName = Exclude<keyof FieldMapping, Name>;
type Written = Readonly<Record<Name, string> & Partial<Record<OptionalName, string | undefined>>>;

/**
 * From how each field is written: `a.b`, `avro:a.b`, `header:NAME`, `key`, and a
 * priority's name for `priority`. What `own` leaves out is in `written`.
 */
export function compileMapping(
  written: Written,
  own: Readonly<Partial<Record<Name | OptionalName, string | undefined>>> = {},
): FieldMapping {
  const priority = own.priority ?? written.priority;
  return {
    ...forEach(NAMES, (name) => compileSource(own[name] ?? written[name])),
    ...forEach(EXTRAS, (name) => {
      const source = own[name] ?? written[name];
      return source === undefined ? null : compileSource(source);
    }),
    priority: priority === undefined ? null : compilePriority(priority),
  };
}

/** Null for what has no source. */
export function describeMapping(mapping: FieldMapping): {
  readonly [K in keyof FieldMapping]: string | null;
} {
  const { priority } = mapping;
  return {
    ...forEach(NAMES, (name) => describeSource(mapping[name])),
    ...forEach(EXTRAS, (name) => {
      const source = mapping[name];
      return source === null ? null : describeSource(source);
    }),
    priority: priority === null ? null : describePriority(priority),
  };
}

function forEach<N extends string, T>(names: readonly N[], make: (name: N) => T): Record<N, T> {
  return Object.fromEntries(names.map((name) => [name, make(name)])) as Record<N, T>;
}

function compilePriority(text: string): PrioritySource {
  const value = PRIORITIES.find((priority) => priority === text);
  return value === undefined ? compileSource(text) : { from: 'constant', value };
}

function compileSource(text: string): FieldSource {
  if (text === 'key') return { from: 'key' };
  if (text.startsWith('header:')) return { from: 'header', name: text.slice('header:'.length) };
  return { from: 'avro', path: text.replace(/^avro:/, '').split('.') };
}

function describePriority(source: PrioritySource): string {
  if (source.from === 'constant') return source.value;
  const text = describeSource(source);
  return PRIORITIES.some((priority) => priority === text) ? `avro:${text}` : text;
}

function describeSource(source: FieldSource): string {
  switch (source.from) {
    case 'key':
      return 'key';
    case 'header':
      return `header:${source.name}`;
    case 'avro': {
      const path = source.path.join('.');
      return path === 'key' ? 'avro:key' : path;
    }
  }
}
