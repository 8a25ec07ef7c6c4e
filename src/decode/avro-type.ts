import avsc, { type Type } from 'avsc';
import { messageOf } from '../domain/errors.ts';
import { UnusableSchema } from './errors.ts';
import { exactLong } from './exact-long.ts';

type Schema = Parameters<typeof Type.forSchema>[0];
type Options = Parameters<NonNullable<NonNullable<Parameters<typeof Type.forSchema>[1]>['typeHook']>>[1];

export type LongValues = 'plain' | 'exact';

/**
 * A schema as avsc's type. Logical types stay what they are on the wire, records
 * are plain objects with fields only, and unions are unwrapped except where avsc
 * could not write them again (`json-value.ts` unwraps these).
 *
 * @param longs `plain` throws on a long beyond 2^53, `exact` gives it as a decimal string and takes longer.
 * @throws UnusableSchema when avsc cannot use the schema.
 */
export function avroType(source: string, longs: LongValues): Type {
  try {
    return avsc.Type.forSchema(JSON.parse(source) as Schema, {
      omitRecordMethods: true,
      typeHook: longs === 'exact' ? exactHook : plainHook,
    });
  } catch (error) {
    throw new UnusableSchema(`not a usable Avro schema: ${messageOf(error)}`, { cause: error });
  }
}

const DEFINITIONS = new Set(['record', 'error', 'enum', 'fixed', 'array', 'map']);
const PRIMITIVES = new Set(['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string']);

/** The specification allows `{"type": X}` wherever X may stand; avsc knows that for X it has a class for. */
function plainHook(schema: Schema, options: Options): Type | undefined {
  if (!isAnnotated(schema)) return undefined;
  const { type } = schema;
  const isAvscs = typeof type === 'string' && (DEFINITIONS.has(type) || PRIMITIVES.has(type));
  return isAvscs ? undefined : avsc.Type.forSchema(type, options);
}

function exactHook(schema: Schema, options: Options): Type | undefined {
  if (schema === 'long' || (isAnnotated(schema) && schema.type === 'long')) return exactLong;
  return plainHook(schema, options);
}

function isAnnotated(schema: Schema): schema is Schema & { readonly type: Schema } {
  return typeof schema === 'object' && !Array.isArray(schema) && 'type' in schema;
}
