import type { Clock } from '../domain/clock.ts';
import { UserError } from '../domain/errors.ts';
import { catalogue, catalogueTypes, subjectOf } from './catalogue.ts';
import { Random, hexOf } from './random.ts';
import type { SampleKind } from './sample-event.ts';
import { WeightedChoice, zipfWeights } from './weighted-choice.ts';

/** What samples need of an Avro encoder: the catalogue's schemas, by subject and version. */
export interface SampleSchemas {
  /** Null when there is no such schema. */
  find(subject: string, version: number): SampleEncoder | null;
}

export interface SampleEncoder {
  /** The fields as a record's value, in the Confluent wire format. */
  encode(fields: object): Buffer;
}

export interface SampleOptions {
  /** The project's folder `schemas/`: `new FolderEncoder(readSchemaFolder(folder))` of `decode/`. */
  readonly schemas: SampleSchemas;
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

interface EncodedKind {
  readonly kind: SampleKind;
  readonly encoder: SampleEncoder;
  readonly source: string;
}

const CORRELATED = 0.7;

/** `tenant-1`, `tenant-2` … */
export function sampleTenants(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `tenant-${index + 1}`);
}

/** Makes sample events of the catalogue, without end. */
export class SampleGenerator {
  readonly #random: Random;
  readonly #clock: Clock;
  readonly #tenants: readonly Tenant[];
  readonly #tenantChoice: WeightedChoice;
  readonly #kinds: readonly EncodedKind[];
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
    this.#kinds = kinds.map((kind) => encodedKind(kind, options.schemas));
    this.#idPrefix = this.#random.uuid().slice(8, 24);
  }

  next(): Sample {
    const random = this.#random;
    const tenant = this.#tenants[this.#tenantChoice.pick(random)] as Tenant;
    const { kind, encoder, source } = this.#kinds[this.#kindChoice.pick(random)] as EncodedKind;
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
    const value = encoder.encode(fields);
    return { tenant: tenant.name, eventId, type: kind.type, key: tenant.key, value };
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

function encodedKind(kind: SampleKind, schemas: SampleSchemas): EncodedKind {
  const subject = subjectOf(kind.type);
  const encoder = schemas.find(subject, kind.version);
  if (encoder === null) throw new UserError([`the schemas have no version ${kind.version} of ${subject}`]);
  return { kind, encoder, source: `${kind.type.slice(0, kind.type.indexOf('.'))}-service` };
}
