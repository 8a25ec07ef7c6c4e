import avsc, { type Type } from 'avsc';
import { messageOf } from '../domain/errors.ts';
import { UnusableSchema } from './errors.ts';
import { exactLong } from './exact-long.ts';

type Schema = Parameters<typeof Type.forSchema>[0];
type Options = Parameters<NonNullable<NonNullable<Parameters<typeof Type.forSchema>[1]>['typeHook']>>[1];

/**
 * A schema as avsc's type, which writes records. Longs are exact
 * (`exact-long.ts`), logical types stay what they are on the wire, records are
 * plain objects with fields only, and a union takes its branch's value bare
 * except where the value alone does not tell the branch.
 *
 * @throws UnusableSchema when avsc cannot use the schema.
 */
export function avroType(source: string): Type {
  try {
    return avsc.Type.forSchema(JSON.parse(source) as Schema, { omitRecordMethods: true, typeHook });
  } catch (error) {
    throw new UnusableSchema(`not a usable Avro schema: ${messageOf(error)}`, { cause: error });
  }
}

const DEFINITIONS = new Set(['record', 'error', 'enum', 'fixed', 'array', 'map']);
const PRIMITIVES = new Set(['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string']);

/** Puts the exact long in its place, and allows what the specification does and avsc does not: `{"type": X}` for any X. */
function typeHook(schema: Schema, options: Options): Type | undefined {
  if (schema === 'long') return exactLong;
  if (!isAnnotated(schema)) return undefined;
  const { type } = schema;
  if (type === 'long') return exactLong;
  const isAvscs = typeof type === 'string' && (DEFINITIONS.has(type) || PRIMITIVES.has(type));
  return isAvscs ? undefined : avsc.Type.forSchema(type, options);
}

function isAnnotated(schema: Schema): schema is Schema & { readonly type: Schema } {
  return typeof schema === 'object' && !Array.isArray(schema) && 'type' in schema;
}
