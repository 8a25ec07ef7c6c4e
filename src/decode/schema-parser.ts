import { limits } from '../domain/limits.ts';
import { messageOf } from '../domain/errors.ts';
import { UnusableSchema } from './errors.ts';
import type { AvroField, AvroInteger, AvroNamed, AvroRecord, AvroType } from './schema-model.ts';

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** A value nested deeper than `limits.avroDepth` is refused, so a deeper schema has no use; unions add levels of text. */
const SCHEMA_DEPTH = 4 * limits.avroDepth;
/** avsc builds records by assignment, and assigning this name sets the prototype instead of a field. */
const UNSAFE_FIELD = '__proto__';

type Json = Readonly<Record<string, unknown>>;

/**
 * Parses schema texts in dependency order: the last one is the record's schema,
 * those before it define what it refers to.
 *
 * @throws UnusableSchema when one is not JSON, not Avro, or the last one is not a record.
 */
export function parseSchemas(texts: readonly string[]): AvroRecord {
  const parser = new SchemaParser();
  let last: AvroType | null = null;
  for (const text of texts) last = parser.parse(jsonOf(text), '', 0);
  if (last?.kind !== 'record')
    throw new UnusableSchema(`a record was expected, not ${last?.kind ?? 'nothing'}`);
  return last;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UnusableSchema(`the schema is not JSON: ${messageOf(error)}`, { cause: error });
  }
}

/** Follows the Avro specification's rules for names: https://avro.apache.org/docs/1.12.0/specification/#names */
class SchemaParser {
  readonly #named = new Map<string, AvroNamed>();

  parse(schema: unknown, namespace: string, depth: number): AvroType {
    if (depth > SCHEMA_DEPTH)
      throw new UnusableSchema(`the schema is nested deeper than ${SCHEMA_DEPTH} levels`);
    if (typeof schema === 'string') return this.#reference(schema, namespace, '');
    if (Array.isArray(schema)) return this.#union(schema, namespace, depth);
    if (isObject(schema)) return this.#object(schema, namespace, depth);
    throw new UnusableSchema(`a type was expected, not ${shown(schema)}`);
  }

  #object(schema: Json, namespace: string, depth: number): AvroType {
    switch (schema['type']) {
      case 'record':
      case 'error':
        return this.#record(schema, namespace, depth);
      case 'enum':
        return this.#enum(schema, namespace);
      case 'fixed':
        return this.#fixed(schema, namespace);
      case 'array':
        return { kind: 'array', items: this.parse(schema['items'], namespace, depth + 1) };
      case 'map':
        return { kind: 'map', items: this.parse(schema['values'], namespace, depth + 1) };
      default:
        if (typeof schema['type'] !== 'string') return this.parse(schema['type'], namespace, depth + 1);
        return this.#reference(schema['type'], namespace, textOr(schema['logicalType'], ''));
    }
  }

  #reference(name: string, namespace: string, logicalType: string): AvroType {
    switch (name) {
      case 'null':
      case 'boolean':
      case 'float':
      case 'double':
      case 'bytes':
      case 'string':
        return { kind: name };
      case 'int':
      case 'long':
        return { kind: name, logicalType } satisfies AvroInteger;
      default: {
        const type = this.#named.get(qualified(name, namespace)) ?? this.#named.get(name.replace(/^\./, ''));
        if (type === undefined) throw new UnusableSchema(`the type ${shown(name)} is not defined`);
        return type;
      }
    }
  }

  #union(branches: readonly unknown[], namespace: string, depth: number): AvroType {
    if (branches.length === 0) throw new UnusableSchema('a union has no branches');
    const types = branches.map((branch) => this.parse(branch, namespace, depth + 1));
    if (types.some((type) => type.kind === 'union'))
      throw new UnusableSchema('a union stands directly in a union');
    return { kind: 'union', branches: types };
  }

  #record(schema: Json, namespace: string, depth: number): AvroRecord {
    const name = definedName(schema, namespace);
    const fields: AvroField[] = [];
    // Registered before its fields are parsed, because they may refer to it.
    const record = this.#define({ kind: 'record', name, fields });
    const definitions: unknown = schema['fields'];
    if (!Array.isArray(definitions)) throw new UnusableSchema(`the record ${name} has no list of fields`);
    const seen = new Set<string>();
    for (const definition of definitions as readonly unknown[]) {
      const field = isObject(definition) ? definition : {};
      const fieldName = textOr(field['name'], '');
      if (!NAME.test(fieldName) || fieldName === UNSAFE_FIELD || seen.has(fieldName)) {
        throw new UnusableSchema(
          `the record ${name} has an invalid or repeated field name ${shown(field['name'])}`,
        );
      }
      seen.add(fieldName);
      fields.push({ name: fieldName, type: this.parse(field['type'], namespaceOf(name), depth + 1) });
    }
    return record;
  }

  #enum(schema: Json, namespace: string): AvroType {
    const name = definedName(schema, namespace);
    const symbols: unknown = schema['symbols'];
    const valid =
      Array.isArray(symbols) &&
      symbols.length > 0 &&
      symbols.every((symbol: unknown): symbol is string => typeof symbol === 'string' && NAME.test(symbol)) &&
      new Set<unknown>(symbols).size === symbols.length;
    if (!valid) throw new UnusableSchema(`the enum ${name} has no symbols, or invalid or repeated ones`);
    return this.#define({ kind: 'enum', name, symbols });
  }

  #fixed(schema: Json, namespace: string): AvroType {
    const name = definedName(schema, namespace);
    const sizeBytes: unknown = schema['size'];
    if (typeof sizeBytes !== 'number' || sizeBytes < 0 || sizeBytes !== (sizeBytes | 0)) {
      throw new UnusableSchema(`the fixed ${name} has an invalid size ${shown(sizeBytes)}`);
    }
    return this.#define({ kind: 'fixed', name, sizeBytes });
  }

  #define<T extends AvroNamed>(type: T): T {
    if (this.#named.has(type.name)) throw new UnusableSchema(`the type ${type.name} is defined twice`);
    this.#named.set(type.name, type);
    return type;
  }
}

function definedName(schema: Json, enclosing: string): string {
  const name = qualified(textOr(schema['name'], ''), textOr(schema['namespace'], enclosing));
  if (!name.split('.').every((part) => NAME.test(part))) {
    throw new UnusableSchema(`a type has the invalid name ${shown(schema['name'])}`);
  }
  return name;
}

/** A name with a dot is a full name already; a leading dot is avsc's way to say "no namespace". */
function qualified(name: string, namespace: string): string {
  if (name.includes('.')) return name.replace(/^\./, '');
  return namespace === '' ? name : `${namespace}.${name}`;
}

function namespaceOf(fullName: string): string {
  return fullName.slice(0, Math.max(0, fullName.lastIndexOf('.')));
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOr(value: unknown, fallback: string): string {
  return typeof value === 'string' ? value : fallback;
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 80);
}
