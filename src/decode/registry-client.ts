import type { RegistryConfig } from '../config/config.ts';
import { limits } from '../domain/limits.ts';
import { RegistryUnavailable } from './errors.ts';
import { describe, getFromRegistry, type RegistryAnswer } from './registry-http.ts';

/** What a registry knows of a schema id. */
export type RegistrySchema =
  /** Schema texts in dependency order, the schema itself last. */
  | { readonly state: 'found'; readonly texts: readonly string[] }
  | { readonly state: 'absent' }
  | { readonly state: 'unusable'; readonly reason: string };

/** Schemas that one schema may refer to, directly and indirectly. */
const MAX_REFERENCES = 64;
/** A body may be longer than the schema in it, since JSON inside JSON is escaped. */
const BODY_MAX_BYTES = 2 * limits.schemaMaxBytes;

/**
 * The read side of the Confluent Schema Registry REST API, which Apicurio,
 * Karapace and Redpanda offer too
 * (https://docs.confluent.io/platform/current/schema-registry/develop/api.html).
 */
export class RegistryClient {
  readonly #config: RegistryConfig;

  constructor(config: RegistryConfig) {
    this.#config = config;
  }

  /**
   * @throws RegistryUnavailable for everything that leaves the question open: no
   *   answer in time, 401, 403, 5xx, a redirect, a 404 or a 200 that is not the registry's.
   */
  async schemaById(id: number): Promise<RegistrySchema> {
    const answer = await this.#get(`/schemas/ids/${id}`);
    return answer.state === 'found' ? new ReferenceWalk((path) => this.#get(path)).collect(answer) : answer;
  }

  async #get(path: string): Promise<Answer> {
    const answer = await getFromRegistry(this.#config, path, BODY_MAX_BYTES);
    const what = describe(this.#config, path);
    if (answer.status === 404 && isRegistrysNotFound(answer)) return { state: 'absent' };
    if (answer.status !== 200) throw new RegistryUnavailable(`${what}: ${explain(answer.status)}`);
    if (answer.body === null) return { state: 'unusable', reason: `longer than ${BODY_MAX_BYTES} bytes` };
    const body = objectOf(answer.body);
    if (typeof body?.['schema'] !== 'string') {
      throw new RegistryUnavailable(`${what}: the answer is not a schema registry's`);
    }
    return readSchema(body, body['schema']);
  }
}

type Json = Readonly<Record<string, unknown>>;

interface Reference {
  readonly subject: string;
  readonly version: number;
}

type Answer =
  | { readonly state: 'found'; readonly text: string; readonly references: readonly Reference[] }
  | { readonly state: 'absent' }
  | { readonly state: 'unusable'; readonly reason: string };

/** Collects a schema and what it refers to, dependencies first, each subject and version once. */
class ReferenceWalk {
  readonly #get: (path: string) => Promise<Answer>;
  readonly #seen = new Set<string>();
  readonly #texts: string[] = [];

  constructor(get: (path: string) => Promise<Answer>) {
    this.#get = get;
  }

  async collect(root: Answer & { state: 'found' }): Promise<RegistrySchema> {
    const refusal = await this.#add(root);
    return refusal === null ? { state: 'found', texts: this.#texts } : { state: 'unusable', reason: refusal };
  }

  /** @returns why the schema cannot be used, or null. */
  async #add(schema: Answer & { state: 'found' }): Promise<string | null> {
    for (const { subject, version } of schema.references) {
      const path = `/subjects/${encodeURIComponent(subject)}/versions/${version}`;
      if (this.#seen.has(path)) continue;
      if (this.#seen.size >= MAX_REFERENCES) return `refers to more than ${MAX_REFERENCES} schemas`;
      this.#seen.add(path);
      const answer = await this.#get(path);
      if (answer.state === 'absent') return `refers to ${subject} version ${version}, which does not exist`;
      if (answer.state === 'unusable') return `refers to ${subject} version ${version}: ${answer.reason}`;
      const refusal = await this.#add(answer);
      if (refusal !== null) return refusal;
    }
    this.#texts.push(schema.text);
    return null;
  }
}

function readSchema(body: Json, text: string): Answer {
  const type = body['schemaType'] ?? 'AVRO';
  if (type !== 'AVRO') {
    return { state: 'unusable', reason: `its type is ${JSON.stringify(type).slice(0, 40)}, not AVRO` };
  }
  if (Buffer.byteLength(text) > limits.schemaMaxBytes) {
    return { state: 'unusable', reason: `longer than ${limits.schemaMaxBytes} bytes` };
  }
  const references: unknown = body['references'] ?? [];
  if (!Array.isArray(references) || !references.every(isReference)) {
    return { state: 'unusable', reason: 'its references are not a list of subjects and versions' };
  }
  return { state: 'found', text, references };
}

function isReference(value: unknown): value is Reference {
  const reference = value as Partial<Reference> | null;
  return typeof reference?.subject === 'string' && Number.isInteger(reference.version);
}

/**
 * 40401 to 40499 are the registry's own words for "there is none" (40403 for a
 * schema id). A plain 404 comes from a wrong base URL or a proxy on the way.
 */
function isRegistrysNotFound(answer: RegistryAnswer): boolean {
  const code = objectOf(answer.body ?? '')?.['error_code'];
  return typeof code === 'number' && code > 40_400 && code < 40_500;
}

function objectOf(text: string): Json | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' ? (value as Json | null) : null;
  } catch {
    return null;
  }
}

function explain(status: number): string {
  if (status === 401 || status === 403) return `${status}, check schemas.registry username and password`;
  if (status === 404) return '404 that is not the registry’s own, check schemas.registry url';
  if (status >= 300 && status < 400)
    return `${status}, redirects are not followed, check schemas.registry url`;
  return String(status);
}
