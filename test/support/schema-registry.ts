import { readdir } from 'node:fs/promises';
import path from 'node:path';

import { availabilityOf, javaCommand, registryDistribution } from './java-parts.ts';
import type { Availability } from './java-parts.ts';
import { freePort } from './ports.ts';
import { spawnChild } from './process.ts';
import type { Child } from './process.ts';
import { waitFor } from './wait.ts';

export interface RegistryOptions {
  /** Demand basic auth with these; without it the registry is open. */
  readonly basicAuth?: { readonly username: string; readonly password: string };
  /** 127.0.0.1's port to listen on; a free one by default. */
  readonly port?: number;
}

/** Apicurio Registry 3.0.9 in a process of its own, its data in memory, answering Confluent's REST API. */
export interface RealRegistry {
  /** `http://127.0.0.1:port/apis/ccompat/v7`, without credentials. */
  readonly url: string;
  readonly pid: number;
  /**
   * Registers a version of an Avro schema. @returns its id. @throws Error with the registry's answer, e.g. when the
   * version breaks the subject's compatibility.
   */
  register(subject: string, avroSchema: object): Promise<number>;
  /** Sets the subject's compatibility rule: `BACKWARD`, `NONE`, … as in Confluent's API. */
  setCompatibility(subject: string, level: string): Promise<void>;
  /** SIGSTOP: connections stay up and nothing answers. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
  /** Ends the process; its schemas are gone. */
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 60_000;
const JSON_TYPE = 'application/vnd.schemaregistry.v1+json';

/** Whether a real registry can be started here; downloads it where it is not in the cache yet. */
export function realRegistryAvailability(): Promise<Availability> {
  return availabilityOf(registryDistribution);
}

/** Starts a registry and waits until it is ready (about 3 s). @throws Error with its output. */
export async function startRegistry(options: RegistryOptions = {}): Promise<RealRegistry> {
  const distribution = await registryDistribution();
  const port = options.port ?? (await freePort());
  const child = await spawnChild({
    name: 'Apicurio Registry',
    command: javaCommand(),
    cwd: distribution,
    args: [
      ...['-Xmx400m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'],
      ...[`-Dquarkus.http.port=${port}`, '-Dquarkus.http.host=127.0.0.1'],
      ...authentication(options),
      ...['-jar', await runnerJar(distribution)],
    ],
  });
  const origin = `http://127.0.0.1:${port}`;
  try {
    await waitFor(() => isReadyOrEnded(origin, child), { timeoutMs: START_TIMEOUT_MS, what: 'the registry' });
    if (!child.isRunning()) throw new Error('it ended');
  } catch (error) {
    await child.kill();
    const message = `Apicurio Registry did not start: ${(error as Error).message}\n${child.output()}`;
    throw new Error(message, { cause: error });
  }
  return new Registry(`${origin}/apis/ccompat/v7`, child, options);
}

async function runnerJar(distribution: string): Promise<string> {
  const jar = (await readdir(distribution)).find((file) => file.endsWith('-runner.jar'));
  if (jar === undefined) throw new Error(`no runner jar in ${distribution}`);
  return path.join(distribution, jar);
}

/** Quarkus' embedded user list, and a permission on everything below /apis. */
function authentication(options: RegistryOptions): string[] {
  if (options.basicAuth === undefined) return [];
  const { username, password } = options.basicAuth;
  return [
    '-Dapicurio.authn.enabled=true',
    '-Dquarkus.oidc.tenant-enabled=false',
    '-Dquarkus.http.auth.basic=true',
    '-Dquarkus.http.auth.permission.all.paths=/apis/*',
    '-Dquarkus.http.auth.permission.all.policy=authenticated',
    '-Dquarkus.security.users.embedded.enabled=true',
    '-Dquarkus.security.users.embedded.plain-text=true',
    `-Dquarkus.security.users.embedded.users."${username}"=${password}`,
    `-Dquarkus.security.users.embedded.roles."${username}"=sr-admin`,
  ];
}

async function isReadyOrEnded(origin: string, child: Child): Promise<boolean> {
  if (!child.isRunning()) return true;
  const response = await fetch(`${origin}/health/ready`).catch(() => undefined);
  await response?.body?.cancel();
  return response?.ok === true;
}

class Registry implements RealRegistry {
  readonly url: string;
  readonly #child: Child;
  readonly #headers: Record<string, string>;

  constructor(url: string, child: Child, options: RegistryOptions) {
    this.url = url;
    this.#child = child;
    this.#headers = { 'content-type': JSON_TYPE };
    if (options.basicAuth !== undefined) {
      const credentials = `${options.basicAuth.username}:${options.basicAuth.password}`;
      this.#headers['authorization'] = `Basic ${Buffer.from(credentials).toString('base64')}`;
    }
  }

  get pid(): number {
    return this.#child.pid;
  }

  async register(subject: string, avroSchema: object): Promise<number> {
    const body = { schema: JSON.stringify(avroSchema) };
    const answer = await this.#send('POST', `/subjects/${encodeURIComponent(subject)}/versions`, body);
    return (answer as { id: number }).id;
  }

  async setCompatibility(subject: string, level: string): Promise<void> {
    await this.#send('PUT', `/config/${encodeURIComponent(subject)}`, { compatibility: level });
  }

  pause(): void {
    this.#child.pause();
  }

  resume(): void {
    this.#child.resume();
  }

  async stop(): Promise<void> {
    await this.#child.kill();
  }

  async #send(method: string, path: string, body: object): Promise<unknown> {
    const response = await fetch(this.url + path, {
      method,
      headers: this.#headers,
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: the registry answered ${response.status}: ${text}`);
    return JSON.parse(text);
  }
}
