/** An Avro schema in compiled form: names resolved to the types themselves, so that a recursive schema is a cyclic graph. */
export type AvroType =
  | { readonly kind: 'null' | 'boolean' | 'float' | 'double' | 'bytes' | 'string' }
  | AvroInteger
  | AvroFixed
  | AvroEnum
  | { readonly kind: 'array' | 'map'; readonly items: AvroType }
  | { readonly kind: 'union'; readonly branches: readonly AvroType[] }
  | AvroRecord;

export interface AvroInteger {
  readonly kind: 'int' | 'long';
  /** Such as `timestamp-micros`; empty when there is none. */
  readonly logicalType: string;
}

export interface AvroFixed {
  readonly kind: 'fixed';
  /** Full name, namespace included. */
  readonly name: string;
  readonly sizeBytes: number;
}

export interface AvroEnum {
  readonly kind: 'enum';
  readonly name: string;
  readonly symbols: readonly string[];
}

export interface AvroRecord {
  readonly kind: 'record';
  readonly name: string;
  readonly fields: readonly AvroField[];
}

export interface AvroField {
  readonly name: string;
  readonly type: AvroType;
}

export type AvroNamed = AvroFixed | AvroEnum | AvroRecord;

/**
 * The type at a path of field names. Nullable unions on the way are looked
 * through; null when the path leads nowhere.
 */
export function typeAt(root: AvroType, path: readonly string[]): AvroType | null {
  let type: AvroType | null = throughNullable(root);
  for (const name of path) {
    if (type?.kind !== 'record') return null;
    const field: AvroField | undefined = type.fields.find((candidate) => candidate.name === name);
    type = field === undefined ? null : throughNullable(field.type);
  }
  return type;
}

function throughNullable(type: AvroType): AvroType | null {
  if (type.kind !== 'union') return type;
  const others = type.branches.filter((branch) => branch.kind !== 'null');
  return others.length === 1 ? (others[0] ?? null) : null;
}
