import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** CIDR ranges in parsed form. */
export type CompiledRanges = readonly (readonly [Address, number])[];

export type AddressVerdict = 'allowed' | { readonly blocked: string };

/** Azure's instance metadata and wire server: a public address by its number, private by its use. */
const AZURE_WIRE_SERVER = '168.63.129.16';

/** The only block of IPv6 that is handed out for the public Internet (RFC 4291, IANA registry). */
const IPV6_GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * Parses CIDR ranges (`10.0.0.0/8`, `fd00::/8`) and single addresses.
 *
 * @throws RangeError when one of them is neither; its message is that text.
 */
export function compileRanges(cidrs: readonly string[]): CompiledRanges {
  return cidrs.map((cidr) => {
    const range = parseRange(cidr);
    if (range === null) throw new RangeError(cidr);
    return range;
  });
}

function parseRange(text: string): readonly [Address, number] | null {
  const [address = '', bits, ...rest] = text.split('/');
  const parsed = parseAddress(address);
  if (parsed === null || rest.length > 0) return null;
  const most = parsed.kind() === 'ipv4' ? 32 : 128;
  if (bits === undefined) return [parsed, most];
  return /^\d{1,3}$/.test(bits) && Number(bits) <= most ? [parsed, Number(bits)] : null;
}

/**
 * Whether a request may go to this address: a public unicast one, or one that
 * `allow` covers. Addresses that carry another one inside (IPv4-mapped, NAT64,
 * 6to4, Teredo …) are blocked whatever they carry, since what they reach is
 * decided by a gateway; only a range that names them as IPv6 allows them.
 *
 * @param ip the address a socket would be given: dotted decimal or IPv6, no brackets.
 */
export function addressVerdict(ip: string, allow: CompiledRanges): AddressVerdict {
  const address = parseAddress(ip);
  if (address === null) return { blocked: 'not an IP address' };
  if (allow.some(([network, bits]) => isWithin(address, network, bits))) return 'allowed';
  const kind = forbiddenKind(address);
  return kind === null ? 'allowed' : { blocked: `${kind} address` };
}

/** The address inside a URL's host name when that is a literal one, else null: names are for DNS. */
export function addressLiteral(hostname: string): string | null {
  const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  return parseAddress(bare) === null ? null : bare;
}

/** Strict spellings only: `0177.1` and the like mean different addresses to different parsers. */
function parseAddress(text: string): Address | null {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  return text.includes(':') && ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text) : null;
}

function isWithin(address: Address, network: Address, bits: number): boolean {
  return address.kind() === network.kind() && address.match(network, bits);
}

function forbiddenKind(address: Address): string | null {
  const range = address.range();
  if (range !== 'unicast') return range;
  if (address.toString() === AZURE_WIRE_SERVER) return 'cloud metadata';
  const isOutside = address.kind() === 'ipv6' && !address.match(...IPV6_GLOBAL_UNICAST);
  return isOutside ? 'unassigned' : null;
}
