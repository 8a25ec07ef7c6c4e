import type { FieldMapping, FieldSource } from '../domain/event.ts';

type Written = { readonly [K in keyof FieldMapping]: string };

const NAMES = ['id', 'type', 'tenant', 'time', 'version', 'source', 'key', 'correlationId'] as const;

/** From how each field is written: `a.b`, `avro:a.b`, `header:NAME`, `key`. What `own` leaves out is in `written`. */
export function compileMapping(
  written: Written,
  own: { readonly [K in keyof Written]?: string | undefined } = {},
): FieldMapping {
  return forEachField((name) => compileSource(own[name] ?? written[name]));
}

export function describeMapping(mapping: FieldMapping): Written {
  return forEachField((name) => describeSource(mapping[name]));
}

function forEachField<T>(make: (name: (typeof NAMES)[number]) => T): Record<(typeof NAMES)[number], T> {
  return Object.fromEntries(NAMES.map((name) => [name, make(name)])) as Record<(typeof NAMES)[number], T>;
}

function compileSource(text: string): FieldSource {
  if (text === 'key') return { from: 'key' };
  if (text.startsWith('header:')) return { from: 'header', name: text.slice('header:'.length) };
  return { from: 'avro', path: text.replace(/^avro:/, '').split('.') };
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
