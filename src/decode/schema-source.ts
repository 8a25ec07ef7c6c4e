import type { AvroNamed, AvroRecord, AvroType } from './schema-model.ts';

/**
 * A writer schema as one self-contained JSON text: full names, each named type
 * defined where it first occurs, references to other registry subjects thus
 * inlined. Defaults, aliases and documentation are left out, since reading what
 * a writer wrote needs none of them and a broken default must not cost a record.
 */
export function sourceOf(record: AvroRecord): string {
  return JSON.stringify(schemaOf(record, new Set()));
}

function schemaOf(type: AvroType, defined: Set<AvroNamed>): unknown {
  switch (type.kind) {
    case 'int':
    case 'long':
      return type.logicalType === '' ? type.kind : { type: type.kind, logicalType: type.logicalType };
    case 'array':
      return { type: 'array', items: schemaOf(type.items, defined) };
    case 'map':
      return { type: 'map', values: schemaOf(type.items, defined) };
    case 'union':
      return type.branches.map((branch) => schemaOf(branch, defined));
    case 'fixed':
    case 'enum':
    case 'record':
      return namedSchemaOf(type, defined);
    default:
      return type.kind;
  }
}

function namedSchemaOf(type: AvroNamed, defined: Set<AvroNamed>): unknown {
  // The leading dot keeps a name without a namespace out of the one that encloses it.
  const name = type.name.includes('.') ? type.name : `.${type.name}`;
  if (defined.has(type)) return name;
  defined.add(type);
  switch (type.kind) {
    case 'fixed':
      return { type: 'fixed', name, size: type.sizeBytes };
    case 'enum':
      return { type: 'enum', name, symbols: type.symbols };
    case 'record': {
      const fields = type.fields.map((field) => ({ name: field.name, type: schemaOf(field.type, defined) }));
      return { type: 'record', name, fields };
    }
  }
}
