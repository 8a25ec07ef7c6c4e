import { Resolver } from 'node:dns/promises';
import type { DeliveryConfig } from '../config/config.ts';
import type { Clock } from '../domain/clock.ts';

/** Names remembered at once; the oldest makes room. */
const REMEMBERED_NAMES = 10_000;
/** A name is looked up at most this often, whatever its TTL says. */
const MIN_TTL_MS = 1_000;
/** How long a failed look-up stands, so that a dead name does not cost a query per attempt. */
const FAILURE_TTL_MS = 1_000;

interface Remembered {
  readonly addresses: Promise<readonly string[]>;
  expiresMs: number;
}

/**
 * Host names to addresses by c-ares, with a bounded cache. Not `dns.lookup`: that
 * one runs on libuv's few threads, where a dead resolver delays everybody's names
 * (and does not return the TTL). So `/etc/hosts` is not read; `localhost` is
 * loopback by definition (RFC 6761 §6.3).
 */
export class NameResolver {
  readonly #resolver: Resolver;
  readonly #maxTtlMs: number;
  readonly #clock: Clock;
  readonly #names = new Map<string, Remembered>();

  constructor(config: DeliveryConfig['dns'], clock: Clock) {
    this.#resolver = new Resolver({ timeout: config.timeoutMs, tries: 2 });
    if (config.servers.length > 0) this.#resolver.setServers(config.servers);
    this.#maxTtlMs = config.maxTtlMs;
    this.#clock = clock;
  }

  /**
   * Addresses of a name, IPv4 first.
   * @throws what c-ares answers (`ENOTFOUND`, `ESERVFAIL`, `ETIMEOUT` … as `code`).
   */
  resolve(name: string): Promise<readonly string[]> {
    if (name === 'localhost' || name.endsWith('.localhost')) return Promise.resolve(['127.0.0.1', '::1']);
    const known = this.#names.get(name);
    if (known !== undefined && known.expiresMs > this.#clock.monotonicMs()) return known.addresses;
    return this.#lookUp(name);
  }

  #lookUp(name: string): Promise<readonly string[]> {
    const answer = this.#ask(name);
    const remembered: Remembered = {
      addresses: answer.then((found) => found.addresses),
      expiresMs: Infinity,
    };
    remembered.addresses.catch(() => undefined);
    answer.then(
      (found) => (remembered.expiresMs = this.#clock.monotonicMs() + found.ttlMs),
      () => (remembered.expiresMs = this.#clock.monotonicMs() + FAILURE_TTL_MS),
    );
    this.#names.delete(name);
    this.#names.set(name, remembered);
    if (this.#names.size > REMEMBERED_NAMES) this.#names.delete(this.#names.keys().next().value as string);
    return remembered.addresses;
  }

  async #ask(name: string): Promise<{ addresses: readonly string[]; ttlMs: number }> {
    const [v4, v6] = await Promise.allSettled([
      this.#resolver.resolve4(name, { ttl: true }),
      this.#resolver.resolve6(name, { ttl: true }),
    ]);
    const records = [
      ...(v4.status === 'fulfilled' ? v4.value : []),
      ...(v6.status === 'fulfilled' ? v6.value : []),
    ];
    if (records.length === 0)
      throw v4.status === 'rejected' ? v4.reason : new Error(`${name} has no address`);
    const ttlMs = Math.min(...records.map((record) => record.ttl)) * 1000;
    return {
      addresses: records.map((record) => record.address),
      ttlMs: Math.min(Math.max(ttlMs, MIN_TTL_MS), this.#maxTtlMs),
    };
  }

  /** Ends look-ups that are under way. */
  close(): void {
    this.#resolver.cancel();
  }
}
