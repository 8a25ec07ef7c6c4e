import avsc from 'avsc';
import fc from 'fast-check';

/** An Avro schema as JSON, restricted to what the arbitraries below make. */
export type Schema =
  | string
  | readonly Schema[]
  | { readonly type: 'array'; readonly items: Schema }
  | { readonly type: 'map'; readonly values: Schema }
  | { readonly type: 'enum'; readonly name: string; readonly symbols: readonly string[] }
  | { readonly type: 'fixed'; readonly name: string; readonly size: number }
  | RecordSchema;

export interface RecordSchema {
  readonly type: 'record';
  readonly name: string;
  readonly fields: readonly { readonly name: string; readonly type: Schema }[];
}

/** A record schema with a value of it, unions wrapped as avsc's `wrapUnions: 'always'` takes them. */
export interface SchemaAndValue {
  readonly schema: RecordSchema;
  readonly value: unknown;
}

type Shape =
  | { readonly kind: 'primitive'; readonly type: string }
  | { readonly kind: 'enum' | 'fixed'; readonly size: number }
  | { readonly kind: 'array' | 'map' | 'record' | 'union'; readonly parts: readonly Shape[] };

const PRIMITIVES = ['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string'];

const leaf: fc.Arbitrary<Shape> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom(...PRIMITIVES).map((type): Shape => ({ kind: 'primitive', type })),
  },
  fc.integer({ min: 1, max: 4 }).map((size): Shape => ({ kind: 'enum', size })),
  fc.integer({ min: 0, max: 20 }).map((size): Shape => ({ kind: 'fixed', size })),
);

/** Two branches that are told apart by their type alone may not be the same; named types have names of their own. */
function branchKey(shape: Shape): unknown {
  if (shape.kind === 'primitive') return shape.type;
  return shape.kind === 'array' || shape.kind === 'map' ? shape.kind : Symbol(shape.kind);
}

function shapes(depth: number): fc.Arbitrary<Shape> {
  if (depth === 0) return leaf;
  const inner = shapes(depth - 1);
  const one = inner.map((part) => [part]);
  const branches = fc.uniqueArray(
    inner.filter((shape) => shape.kind !== 'union'),
    { minLength: 1, maxLength: 4, selector: branchKey },
  );
  return fc.oneof(
    { weight: 3, arbitrary: leaf },
    one.map((parts): Shape => ({ kind: 'array', parts })),
    one.map((parts): Shape => ({ kind: 'map', parts })),
    { weight: 2, arbitrary: branches.map((parts): Shape => ({ kind: 'union', parts })) },
    {
      weight: 2,
      arbitrary: fc.array(inner, { maxLength: 4 }).map((parts): Shape => ({ kind: 'record', parts })),
    },
  );
}

function schemaOf(shape: Shape, nextName: () => string): Schema {
  switch (shape.kind) {
    case 'primitive':
      return shape.type;
    case 'enum':
      return {
        type: 'enum',
        name: nextName(),
        symbols: Array.from({ length: shape.size }, (_, i) => `S${i}`),
      };
    case 'fixed':
      return { type: 'fixed', name: nextName(), size: shape.size };
    case 'array':
      return { type: 'array', items: schemaOf(shape.parts[0]!, nextName) };
    case 'map':
      return { type: 'map', values: schemaOf(shape.parts[0]!, nextName) };
    case 'union':
      return shape.parts.map((part) => schemaOf(part, nextName));
    case 'record':
      return recordOf(shape.parts, nextName);
  }
}

function recordOf(parts: readonly Shape[], nextName: () => string): RecordSchema {
  const name = nextName();
  return {
    type: 'record',
    name,
    fields: parts.map((part, i) => ({ name: `f${i}`, type: schemaOf(part, nextName) })),
  };
}

/** Below −2^52 avsc's plain long writes wrong values; `exact-long.test.ts` is about those. */
const BIGGEST_PLAIN_LONG = 2 ** 52 - 1;

/** What JSON escapes, and what is nearly that. */
const nastyUnit = fc.constantFrom(
  '"',
  '\\',
  '/',
  '\0',
  '\n',
  '\u001f',
  ' ',
  '\u007f',
  '\u0080',
  '\u2028',
  '\ufeff',
  '😀',
  'a',
);

const primitiveValues: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  null: fc.constant(null),
  boolean: fc.boolean(),
  int: fc.integer(),
  long: fc.integer({ min: -BIGGEST_PLAIN_LONG, max: BIGGEST_PLAIN_LONG }),
  float: fc.float(),
  double: fc.double(),
  bytes: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  string: fc.oneof(
    fc.string({ unit: 'binary', maxLength: 100 }),
    fc.string({ unit: 'grapheme-ascii', maxLength: 100 }),
    fc.string({ unit: nastyUnit, maxLength: 20 }),
  ),
};

/** The name under which avsc wraps a union's branch. */
export function branchName(schema: Schema): string {
  if (typeof schema === 'string') return schema;
  return 'name' in schema ? schema.name : (schema as { type: string }).type;
}

function values(schema: Schema): fc.Arbitrary<unknown> {
  if (typeof schema === 'string') return primitiveValues[schema]!;
  if (isUnion(schema)) {
    return fc.oneof(
      ...schema.map((branch) =>
        branch === 'null'
          ? fc.constant(null)
          : values(branch).map((value) => ({ [branchName(branch)]: value })),
      ),
    );
  }
  switch (schema.type) {
    case 'enum':
      return fc.constantFrom(...schema.symbols);
    case 'fixed':
      return fc
        .uint8Array({ minLength: schema.size, maxLength: schema.size })
        .map((bytes) => Buffer.from(bytes));
    case 'array':
      return fc.array(values(schema.items), { maxLength: 6 });
    case 'map':
      return fc
        .dictionary(
          fc.oneof(fc.string({ maxLength: 8 }), fc.string({ unit: nastyUnit, maxLength: 4 })),
          values(schema.values),
          { maxKeys: 4, noNullPrototype: true },
        )
        .filter((map) => !Object.hasOwn(map, '__proto__'));
    case 'record':
      return fc.record(Object.fromEntries(schema.fields.map((field) => [field.name, values(field.type)])));
  }
}

export function isUnion(schema: Schema): schema is readonly Schema[] {
  return Array.isArray(schema);
}

export function schemaAndValue(): fc.Arbitrary<SchemaAndValue> {
  return fc.array(shapes(3), { minLength: 1, maxLength: 6 }).chain((parts) => {
    let names = 0;
    const schema = recordOf(parts, () => `T${names++}`);
    return values(schema).map((value) => ({ schema, value }));
  });
}

/** A type whose values have their unions wrapped. */
export function typeOf(schema: Schema): avsc.Type {
  return avsc.Type.forSchema(structuredClone(schema) as avsc.Schema, { wrapUnions: 'always' });
}

export function encode({ schema, value }: { readonly schema: Schema; readonly value: unknown }): Buffer {
  return typeOf(schema).toBuffer(value);
}

/** A schema with bytes that are nearly, or not at all, a record of it. */
export function schemaAndBytes(): fc.Arbitrary<readonly [RecordSchema, Buffer]> {
  return schemaAndValue().chain((sample) => {
    const record = encode(sample);
    const flips = fc.array(fc.tuple(fc.nat(Math.max(0, record.length - 1)), fc.nat(255)), { maxLength: 4 });
    const flipped = flips.map((changes) => {
      const bytes = Buffer.from(record);
      for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
      return bytes;
    });
    const noise = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes));
    return fc.tuple(fc.constant(sample.schema), fc.oneof(flipped, noise));
  });
}

/** Every path of field names from the record down, through records and unions. */
export function pathsOf(schema: Schema): string[][] {
  if (typeof schema === 'string') return [];
  const found = isUnion(schema)
    ? schema.flatMap(pathsOf)
    : schema.type === 'record'
      ? schema.fields.flatMap(({ name, type }) => [[name], ...pathsOf(type).map((rest) => [name, ...rest])])
      : [];
  return [...new Map(found.map((path) => [path.join('.'), path])).values()];
}

/** The schema and the value at a path of a wrapped value; null where there is nothing. */
export function valueAt(
  schema: Schema,
  value: unknown,
  path: readonly string[],
): { readonly schema: Schema; readonly value: unknown } | null {
  if (isUnion(schema)) {
    if (value === null) return null;
    const [[name, inner]] = Object.entries(value as object) as [[string, unknown]];
    return valueAt(
      schema.find((branch) => branchName(branch) === name)!,
      inner,
      path,
    );
  }
  const [first, ...rest] = path;
  if (first === undefined) return { schema, value };
  if (typeof schema === 'string' || schema.type !== 'record') return null;
  const field = schema.fields.find((candidate) => candidate.name === first);
  return field === undefined ? null : valueAt(field.type, (value as Record<string, unknown>)[first], rest);
}
