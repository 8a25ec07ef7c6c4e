import { AvroEncoder } from '../decode/avro-encoder.ts';
import type { FolderSchema, SchemaFolder } from '../decode/schema-folder.ts';
import type { Clock } from '../domain/clock.ts';
import { UserError } from '../domain/errors.ts';
import { catalogue, catalogueTypes, subjectOf } from './catalogue.ts';
import { Random, hexOf } from './random.ts';
import type { SampleKind } from './sample-event.ts';
import { WeightedChoice, zipfWeights } from './weighted-choice.ts';

export interface SampleOptions {
  /** The project's `schemas/`, read by `readSchemaFolder`. */
  readonly schemas: SchemaFolder;
  /** How many tenants, ≥ 1. Their names are `sampleTenants(tenants)`. */
  readonly tenants: number;
  /** Zipf exponent over the tenants, the first being the largest; 0 is uniform. */
  readonly skew: number;
  /** The same seed gives the same events, but for the time they carry. */
  readonly seed: number;
  readonly clock: Clock;
  /** Event types to choose from; all of the catalogue when left out. */
  readonly types?: readonly string[];
}

/** One event, ready to be produced. */
export interface Sample {
  readonly tenant: string;
  readonly eventId: string;
  readonly type: string;
  /** The tenant's name, since producers key by tenant. Shared between samples: not to be written to. */
  readonly key: Buffer;
  /** Confluent wire format. */
  readonly value: Buffer;
}

interface Tenant {
  readonly name: string;
  readonly key: Buffer;
}

interface NumberedKind {
  readonly kind: SampleKind;
  readonly schemaId: number;
  readonly source: string;
}

const CORRELATED = 0.4;

/** `tenant-1`, `tenant-2` … */
export function sampleTenants(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `tenant-${index + 1}`);
}

/** Makes sample events of the catalogue, without end. */
export class SampleGenerator {
  readonly #random: Random;
  readonly #clock: Clock;
  readonly #encoder = new AvroEncoder();
  readonly #tenants: readonly Tenant[];
  readonly #tenantChoice: WeightedChoice;
  readonly #kinds: readonly NumberedKind[];
  readonly #kindChoice: WeightedChoice;
  /** Tells this generator's event ids from those of another seed. */
  readonly #idPrefix: string;
  #produced = 0;

  /** @throws UserError for an unknown type, or a folder without the catalogue's schemas. */
  constructor(options: SampleOptions) {
    this.#random = new Random(options.seed);
    this.#clock = options.clock;
    this.#tenants = sampleTenants(options.tenants).map((name) => ({ name, key: Buffer.from(name) }));
    this.#tenantChoice = new WeightedChoice(zipfWeights(options.tenants, options.skew));
    const kinds = chosenKinds(options.types);
    this.#kindChoice = new WeightedChoice(kinds.map((kind) => kind.weight));
    this.#kinds = kinds.map((kind) => this.#register(kind, options.schemas));
    this.#idPrefix = this.#random.uuid().slice(8, 24);
  }

  next(): Sample {
    const random = this.#random;
    const tenant = this.#tenants[this.#tenantChoice.pick(random)] as Tenant;
    const { kind, schemaId, source } = this.#kinds[this.#kindChoice.pick(random)] as NumberedKind;
    const eventId = this.#nextId();
    const timestamp = this.#clock.wallMs();
    const fields = Object.assign(kind.fields(random, timestamp), {
      eventId,
      eventType: kind.type,
      timestamp,
      version: kind.version,
      tenantId: tenant.name,
      source,
      correlationId: random.chance(CORRELATED) ? random.uuid() : null,
    });
    const value = this.#encoder.encode(schemaId, fields);
    return { tenant: tenant.name, eventId, type: kind.type, key: tenant.key, value };
  }

  #register(kind: SampleKind, schemas: SchemaFolder): NumberedKind {
    const schema = schemaOf(kind, schemas);
    this.#encoder.define(schema.id, schema.text);
    return { kind, schemaId: schema.id, source: `${kind.type.slice(0, kind.type.indexOf('.'))}-service` };
  }

  /** In the form of a UUID: random at its head, counted at its end, so that no two of a generator are equal. */
  #nextId(): string {
    const count = this.#produced++;
    const counted = hexOf(Math.floor(count / 2 ** 32)).slice(4) + hexOf(count);
    return this.#random.hex8() + this.#idPrefix + counted;
  }
}

function chosenKinds(types: readonly string[] | undefined): readonly SampleKind[] {
  if (types === undefined) return catalogue;
  const unknown = types.filter((type) => !catalogueTypes.includes(type));
  if (unknown.length > 0 || types.length === 0) {
    const problem = unknown.length > 0 ? `unknown event type ${unknown.join(', ')}` : 'no event type chosen';
    throw new UserError([`${problem}; the catalogue has ${catalogueTypes.join(', ')}`]);
  }
  return catalogue.filter((kind) => types.includes(kind.type));
}

function schemaOf(kind: SampleKind, schemas: SchemaFolder): FolderSchema {
  const subject = subjectOf(kind.type);
  for (const schema of schemas.values()) {
    if (schema.subject === subject && schema.version === kind.version) return schema;
  }
  throw new UserError([`the schema folder has no version ${kind.version} of ${subject}`]);
}
