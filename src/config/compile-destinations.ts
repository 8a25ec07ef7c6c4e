import { addressLiteral, addressVerdict } from '../domain/addresses.ts';
import type { CompiledRanges } from '../domain/addresses.ts';
import { EVERY_TENANT } from '../domain/destination.ts';
import type { Destination } from '../domain/destination.ts';
import { compileBucket } from './compile-limits.ts';
import {
  checkDefaultPolicies,
  compileBreaker,
  compileInFlight,
  compilePoison,
  compileRetry,
  orNull,
} from './compile-policies.ts';
import type { Path } from './paths.ts';
import type { Report } from './problems.ts';
import { compileAllowed } from './reachable.ts';
import type { DestinationSettings, Settings } from './schema.ts';
import { parseUrl, urlProblem } from './urls.ts';

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Latin-1 without control characters: a line break in a value would start another header. */
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Headers that frame the message or that EventDispatch sets itself. */
const OWNED_HEADER =
  /^(?:host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|content-.*|proxy-.*|webhook-.*)$/i;

/** Destinations with the defaults spread over them; every problem goes to `report`. */
export function compileDestinations(settings: Settings, report: Report): Destination[] {
  const { destinations, defaults, delivery } = settings;
  if (destinations.length === 0) report(['destinations'], 'at least one destination is required');
  reportDuplicates(destinations, report);
  checkDefaultPolicies(defaults, report);
  const allowed = compileAllowed(delivery.allowAddresses);
  return destinations.map((destination, index) => {
    const at: Path = ['destinations', index];
    const { origin, path } = compileUrl(destination.url, allowed, [...at, 'url'], report);
    return {
      id: destination.id ?? '',
      tenant: destination.tenant ?? '',
      channel: destination.channel ?? defaults.channel,
      origin,
      path,
      events: destination.events,
      format: destination.format ?? defaults.format,
      headers: compileHeaders(destination.headers, [...at, 'headers'], report),
      rateLimit: compileBucket(
        destination.rateLimit === undefined ? defaults.rateLimit : destination.rateLimit,
      ),
      ...compileInFlight(destination, defaults, at, report),
      adaptive: destination.adaptive ?? defaults.adaptive,
      timeoutMs: destination.timeout ?? defaults.timeout,
      retry: compileRetry(destination.retry, defaults.retry, [...at, 'retry'], report),
      breaker: compileBreaker(destination.breaker, defaults.breaker, [...at, 'breaker'], report),
      order: destination.order ?? defaults.order,
      poison: compilePoison(destination.poison, defaults.poison),
      expireAfterMs: orNull(destination.expireAfter ?? defaults.expireAfter),
      weight: destination.weight,
    };
  });
}

/** A `*` destination belongs to every tenant, so its id must differ from each tenant's own. */
function reportDuplicates(destinations: readonly DestinationSettings[], report: Report): void {
  destinations.forEach(({ id, tenant }, index) => {
    if (id === undefined || tenant === undefined) return;
    const twin = destinations.findIndex((other, otherIndex) => {
      const sharesTenant = [tenant, EVERY_TENANT].includes(other.tenant ?? '') || tenant === EVERY_TENANT;
      return otherIndex < index && other.id === id && sharesTenant;
    });
    if (twin >= 0) {
      report(
        ['destinations', index, 'id'],
        `is not allowed: destinations[${twin}] of the same tenant has this id; allowed: an id used once per tenant`,
      );
    }
  });
}

function compileUrl(
  text: string | undefined,
  allowed: CompiledRanges,
  at: Path,
  report: Report,
): { origin: string; path: string } {
  const url = text === undefined ? null : parseUrl(text);
  if (text === undefined) return { origin: '', path: '' };
  const problem = urlProblem(text);
  if (problem !== null || url === null) {
    report(at, problem ?? 'is not allowed');
    return { origin: '', path: '' };
  }
  const literal = addressLiteral(url.hostname);
  const verdict = literal === null ? 'allowed' : addressVerdict(literal, allowed);
  if (verdict !== 'allowed') {
    report(
      at,
      `is not allowed: ${literal ?? ''} is blocked (${verdict.blocked}); allowed: public addresses, and those in delivery.allowAddresses`,
    );
  }
  return { origin: url.origin, path: url.pathname + url.search };
}

function compileHeaders(headers: Readonly<Record<string, string>>, at: Path, report: Report): string[] {
  const seen = new Set<string>();
  return Object.entries(headers).flatMap(([name, value]) => {
    const lower = name.toLowerCase();
    if (!HEADER_NAME.test(name)) report([...at, name], 'is not allowed: no valid header name');
    else if (OWNED_HEADER.test(name))
      report([...at, name], 'is not allowed: a header that EventDispatch sets itself');
    else if (seen.has(lower)) report([...at, name], 'is not allowed: the header is there twice');
    else if (!HEADER_VALUE.test(value)) {
      report(
        [...at, name],
        'is not allowed; allowed: Latin-1 text without line breaks or control characters',
      );
    }
    seen.add(lower);
    return [name, value];
  });
}
