import { MINIMAL } from './support.ts';

interface Case {
  readonly mistake: string;
  readonly yaml: string;
  readonly says: string;
}

/** A destination with one thing changed; line 2 is its first line. */
const destination = (change: string): string =>
  `destinations:\n  - id: a\n    tenant: acme\n    url: https://hooks.example/in\n    ${change}\n`;
const withUrl = (url: string): string =>
  `destinations:\n  - id: a\n    tenant: acme\n    url: ${JSON.stringify(url)}\n`;

const DURATION = 'allowed: a duration with a unit (ms, s, m, h, d)';
const SIZE = 'allowed: a size with a unit (b, kb, mb, gb; 1kb is 1024b)';
const BLOCKED = 'allowed: public addresses, and those in delivery.allowAddresses';

/** One mistake each, and the line that names it. */
export const cases: readonly Case[] = [
  // Keys
  {
    mistake: 'an unknown section',
    yaml: `${MINIMAL}kafca: {}\n`,
    says: 'eventdispatch.yaml:3 kafca: unknown key; did you mean kafka?',
  },
  {
    mistake: 'an unknown key, spelled another way',
    yaml: `${MINIMAL}kafka:\n  group_id: x\n`,
    says: 'eventdispatch.yaml:4 kafka.group_id: unknown key; did you mean groupId?',
  },
  {
    mistake: 'a unit in the key',
    yaml: destination('timeoutMs: 5s'),
    says: 'eventdispatch.yaml:5 destinations[0].timeoutMs: unknown key; did you mean timeout?',
  },
  {
    mistake: 'an unknown key near no other',
    yaml: `${MINIMAL}log:\n  colour: red\n`,
    says: 'eventdispatch.yaml:4 log.colour: unknown key; allowed: level',
  },
  {
    mistake: 'an unknown key without a value',
    yaml: `${MINIMAL}log:\n  colour:\n`,
    says: 'eventdispatch.yaml:4 log.colour: unknown key; allowed: level',
  },
  // Units and ranges
  {
    mistake: 'a duration without a unit',
    yaml: `${MINIMAL}shutdown:\n  deadline: 20\n`,
    says: `eventdispatch.yaml:4 shutdown.deadline: 20 is not allowed; ${DURATION}, 0s to 10m`,
  },
  {
    mistake: 'a duration with an unknown unit',
    yaml: `${MINIMAL}shutdown:\n  deadline: 20 fortnights\n`,
    says: `eventdispatch.yaml:4 shutdown.deadline: "20 fortnights" is not allowed; ${DURATION}, 0s to 10m`,
  },
  {
    mistake: 'a duration out of its range',
    yaml: destination('timeout: 1h'),
    says: `eventdispatch.yaml:5 destinations[0].timeout: "1h" is not allowed; ${DURATION}, 50ms to 5m`,
  },
  {
    mistake: 'a size without a unit',
    yaml: `${MINIMAL}lanes: { maxBytes: 16000000 }\n`,
    says: `eventdispatch.yaml:3 lanes.maxBytes: 16000000 is not allowed; ${SIZE}, 64kb to 1gb`,
  },
  {
    mistake: 'a record size above the bound nothing lifts',
    yaml: `${MINIMAL}kafka: { maxRecordSize: 17mb }\n`,
    says: `eventdispatch.yaml:3 kafka.maxRecordSize: "17mb" is not allowed; ${SIZE}, 1kb to 16mb`,
  },
  {
    mistake: 'a rate without a time',
    yaml: destination('rateLimit: { rate: 100 }'),
    says: 'eventdispatch.yaml:5 destinations[0].rateLimit.rate: 100 is not allowed; allowed: a number per s, m or h such as 100/s or 6000/m, 1/h to 1000000/s',
  },
  {
    mistake: 'a rate limit without a rate',
    yaml: destination('rateLimit: { burst: 5 }'),
    says: 'eventdispatch.yaml:5 destinations[0].rateLimit.rate: is required; allowed: a number per s, m or h such as 100/s or 6000/m, 1/h to 1000000/s',
  },
  {
    mistake: 'a count that is no whole number',
    yaml: destination('maxInFlight: 1.5'),
    says: 'eventdispatch.yaml:5 destinations[0].maxInFlight: 1.5 is not allowed; allowed: a whole number, 1 to 10000',
  },
  {
    mistake: 'a port out of range',
    yaml: `${MINIMAL}http:\n  port: 70000\n`,
    says: 'eventdispatch.yaml:4 http.port: 70000 is not allowed; allowed: a whole number, 0 to 65535',
  },
  {
    mistake: 'more lanes than can be addressed',
    yaml: `${MINIMAL}lanes: { count: 256 }\n`,
    says: 'eventdispatch.yaml:3 lanes.count: 256 is not allowed; allowed: a whole number, 1 to 255',
  },
  // Types
  {
    mistake: 'text in place of a section',
    yaml: `${MINIMAL}http: on\n`,
    says: 'eventdispatch.yaml:3 http: "on" is not allowed; allowed: a map of host, port; or off',
  },
  {
    mistake: 'a map in place of text',
    yaml: `${MINIMAL}kafka: { groupId: { a: 1 } }\n`,
    says: 'eventdispatch.yaml:3 kafka.groupId: a map is not allowed; allowed: text of 1 to 255 characters',
  },
  {
    mistake: 'a map in place of the list of destinations',
    yaml: 'destinations: { id: a }\n',
    says: 'eventdispatch.yaml:1 destinations: a map is not allowed; allowed: a list',
  },
  {
    mistake: 'a tenant that YAML reads as a number',
    yaml: 'destinations:\n  - { id: a, tenant: 007, url: "https://hooks.example" }\n',
    says: 'eventdispatch.yaml:2 destinations[0].tenant: 7 is not allowed; allowed: a tenant id of 1 to 512 characters, or "*"; a number needs quotes',
  },
  {
    mistake: 'a word that is none of those allowed',
    yaml: `${MINIMAL}log: { level: loud }\n`,
    says: 'eventdispatch.yaml:3 log.level: "loud" is not allowed; allowed: fatal | error | warn | info | debug | trace | silent',
  },
  // Destinations
  {
    mistake: 'no destination',
    yaml: 'log: {}\n',
    says: 'eventdispatch.yaml destinations: at least one destination is required',
  },
  {
    mistake: 'a destination without a tenant',
    yaml: 'destinations:\n  - { id: a, url: "https://hooks.example" }\n',
    says: 'eventdispatch.yaml:2 destinations[0].tenant: is required; allowed: a tenant id of 1 to 512 characters, or "*"; a number needs quotes',
  },
  {
    mistake: 'an id with a space',
    yaml: 'destinations:\n  - { id: a b, tenant: t, url: "https://hooks.example" }\n',
    says: 'eventdispatch.yaml:2 destinations[0].id: "a b" is not allowed; allowed: letters, digits, `_`, `.`, `-`; 64 at most; a number needs quotes',
  },
  {
    mistake: 'an id twice for one tenant',
    yaml: `${MINIMAL}  - { id: a, tenant: acme, url: 'https://hooks.example/2' }\n`,
    says: 'eventdispatch.yaml:3 destinations[1].id: "a" is not allowed: destinations[0] of the same tenant has this id; allowed: an id used once per tenant',
  },
  {
    mistake: 'the id of a destination of every tenant used again by one tenant',
    yaml: `${MINIMAL}  - { id: a, tenant: '*', url: 'https://hooks.example/2' }\n`,
    says: 'eventdispatch.yaml:3 destinations[1].id: "a" is not allowed: destinations[0] of the same tenant has this id; allowed: an id used once per tenant',
  },
  {
    mistake: 'a URL of another scheme',
    yaml: withUrl('ftp://hooks.example/in'),
    says: 'eventdispatch.yaml:4 destinations[0].url: "ftp://hooks.example/in" is not allowed; allowed: an absolute http:// or https:// URL',
  },
  {
    mistake: 'no URL at all',
    yaml: withUrl('hooks.example/in'),
    says: 'eventdispatch.yaml:4 destinations[0].url: "hooks.example/in" is not allowed; allowed: an absolute http:// or https:// URL',
  },
  {
    mistake: 'a user in a URL',
    yaml: withUrl('https://me:hunter2@hooks.example/in'),
    says: 'eventdispatch.yaml:4 destinations[0].url: "https://********@hooks.example/in" is not allowed: no user or password in a URL; there are other keys for them',
  },
  {
    mistake: 'a fragment in a URL',
    yaml: withUrl('https://hooks.example/in#top'),
    says: 'eventdispatch.yaml:4 destinations[0].url: "https://hooks.example/in#top" is not allowed: no fragment (#…), it is never sent',
  },
  {
    mistake: 'a loopback address',
    yaml: withUrl('http://127.0.0.1:8080/'),
    says: `eventdispatch.yaml:4 destinations[0].url: "http://127.0.0.1:8080/" is not allowed: 127.0.0.1 is blocked (loopback address); ${BLOCKED}`,
  },
  {
    mistake: 'a private address in a number of its own',
    yaml: withUrl('http://0x0a000001/'),
    says: `eventdispatch.yaml:4 destinations[0].url: "http://0x0a000001/" is not allowed: 10.0.0.1 is blocked (private address); ${BLOCKED}`,
  },
  {
    mistake: 'a mapped IPv6 address',
    yaml: withUrl('http://[::ffff:127.0.0.1]/'),
    says: `eventdispatch.yaml:4 destinations[0].url: "http://[::ffff:127.0.0.1]/" is not allowed: ::ffff:7f00:1 is blocked (ipv4Mapped address); ${BLOCKED}`,
  },
  {
    mistake: 'a glob with an empty segment',
    yaml: destination("events: ['contact..created']"),
    says: 'eventdispatch.yaml:5 destinations[0].events: ["contact..created"] is not allowed; allowed: globs such as contact.*, email.opened, **',
  },
  {
    mistake: 'a header that frames the message',
    yaml: destination('headers: { Transfer-Encoding: chunked }'),
    says: 'eventdispatch.yaml:5 destinations[0].headers.Transfer-Encoding: the value (not shown) is not allowed: a header that EventDispatch sets itself',
  },
  {
    mistake: 'a line break in a header',
    yaml: destination('headers: { x-a: "b\\r\\nx-c: d" }'),
    says: 'eventdispatch.yaml:5 destinations[0].headers.x-a: the value (not shown) is not allowed; allowed: Latin-1 text without line breaks or control characters',
  },
  {
    mistake: 'a header name with a space',
    yaml: destination('headers: { "x a": b }'),
    says: 'eventdispatch.yaml:5 destinations[0].headers.x a: the value (not shown) is not allowed: no valid header name',
  },
  {
    mistake: 'a header twice',
    yaml: destination('headers: { x-a: b, X-A: c }'),
    says: 'eventdispatch.yaml:5 destinations[0].headers.X-A: the value (not shown) is not allowed: the header is there twice',
  },
  {
    mistake: 'a header without a value',
    yaml: destination('headers: { x-a: }'),
    says: 'eventdispatch.yaml:5 destinations[0].headers.x-a: the value (not shown) is not allowed; allowed: a map of header names to text',
  },
  {
    mistake: 'a longest wait shorter than the first one',
    yaml: destination('retry: { initialDelay: 10s, maxDelay: 1s }'),
    says: 'eventdispatch.yaml:5 destinations[0].retry.maxDelay: "1s" is not allowed; allowed: maxDelay at least as long as initialDelay',
  },
  {
    mistake: 'the same among the defaults',
    yaml: `${MINIMAL}defaults:\n  retry:\n    initialDelay: 1h\n`,
    says: 'eventdispatch.yaml:5 defaults.retry.initialDelay: "1h" is not allowed; allowed: maxDelay at least as long as initialDelay',
  },
  // Kafka
  {
    mistake: 'a broker without a port',
    yaml: `${MINIMAL}kafka:\n  brokers: kafka.example\n`,
    says: 'eventdispatch.yaml:4 kafka.brokers: "kafka.example" is not allowed; allowed: `host:port`, several separated by commas',
  },
  {
    mistake: 'a broker with an impossible port',
    yaml: `${MINIMAL}kafka:\n  brokers: a:9092,b:90920\n`,
    says: 'eventdispatch.yaml:4 kafka.brokers: "a:9092,b:90920" is not allowed; allowed: ports from 1 to 65535',
  },
  {
    mistake: 'a dead-letter topic that is read',
    yaml: `${MINIMAL}kafka:\n  topics: [events, dead]\n  deadLetterTopic: dead\n`,
    says: 'eventdispatch.yaml:5 kafka.deadLetterTopic: "dead" is not allowed: kafka.topics has dead, which would read it back',
  },
  {
    mistake: 'a default bad-event topic that a pattern reads',
    yaml: `${MINIMAL}kafka:\n  topics: ['^eventdispatch\\.bad.*']\n`,
    says: 'eventdispatch.yaml:3 kafka.badEventTopic: is not allowed: kafka.topics has ^eventdispatch\\.bad.*, which would read it back',
  },
  {
    mistake: 'a pattern that is none',
    yaml: `${MINIMAL}kafka:\n  topics: ['^a(']\n`,
    says: 'eventdispatch.yaml:4 kafka.topics: ["^a("] is not allowed; allowed: a topic name (letters, digits, `.`, `_`, `-`; 249 at most), or a regular expression that starts with ^',
  },
  {
    mistake: 'no topic',
    yaml: `${MINIMAL}kafka:\n  topics: []\n`,
    says: 'eventdispatch.yaml:4 kafka.topics: [] is not allowed; allowed: at least one topic or pattern',
  },
  {
    mistake: 'a property that EventDispatch owns',
    yaml: `${MINIMAL}kafka:\n  properties:\n    enable.auto.commit: true\n`,
    says: 'eventdispatch.yaml:5 kafka.properties.enable.auto.commit: true is not allowed: an offset is committed only when its record is durable',
  },
  {
    mistake: 'a callback',
    yaml: `${MINIMAL}kafka:\n  consumerProperties:\n    rebalance_cb: true\n`,
    says: 'eventdispatch.yaml:5 kafka.consumerProperties.rebalance_cb: true is not allowed: callbacks are set by EventDispatch',
  },
  {
    mistake: 'a property of the classic protocol',
    yaml: `${MINIMAL}kafka:\n  consumerProperties:\n    session.timeout.ms: 6000\n`,
    says: 'eventdispatch.yaml:5 kafka.consumerProperties.session.timeout.ms: 6000 is not allowed: it needs kafka.groupProtocol: classic',
  },
  {
    mistake: 'a property that is a map',
    yaml: `${MINIMAL}kafka:\n  properties:\n    client.id: { a: 1 }\n`,
    says: 'eventdispatch.yaml:5 kafka.properties.client.id: a map is not allowed; allowed: a map of librdkafka property names to text, numbers or true/false',
  },
  {
    mistake: 'a property said twice',
    yaml: `${MINIMAL}kafka:\n  brokers: a:1\n  security: { protocol: SSL }\n  properties:\n    security.protocol: ssl\n`,
    says: 'eventdispatch.yaml:7 kafka.properties.security.protocol: "ssl" is not allowed: kafka.security.protocol says it already',
  },
  {
    mistake: 'security for the embedded broker',
    yaml: `${MINIMAL}kafka:\n  security: { protocol: SSL }\n`,
    says: 'eventdispatch.yaml:4 kafka.security: a map is not allowed without kafka.brokers: the embedded broker has no TLS or SASL',
  },
  {
    mistake: 'SASL without a mechanism',
    yaml: `${MINIMAL}kafka:\n  brokers: a:1\n  security: { protocol: SASL_SSL }\n`,
    says: 'eventdispatch.yaml:5 kafka.security.protocol: "SASL_SSL" is not enough: mechanism is needed with it',
  },
  {
    mistake: 'SASL without a password',
    yaml: `${MINIMAL}kafka:\n  brokers: a:1\n  security: { protocol: SASL_SSL, mechanism: PLAIN, username: x }\n`,
    says: 'eventdispatch.yaml:5 kafka.security.mechanism: "PLAIN" is not enough: username and password are needed with it',
  },
  {
    mistake: 'a certificate file that is not there',
    yaml: `${MINIMAL}kafka:\n  brokers: a:1\n  security: { protocol: SSL, caFile: ca.pem }\n`,
    says: 'eventdispatch.yaml:5 kafka.security.caFile: "ca.pem" is not allowed: ca.pem is no file',
  },
  {
    mistake: 'a client certificate without its key',
    yaml: `${MINIMAL}kafka:\n  brokers: a:1\n  security: { protocol: SSL, certFile: eventdispatch.yaml }\n`,
    says: 'eventdispatch.yaml:5 kafka.security.certFile: "eventdispatch.yaml" is not enough: certFile and keyFile go together',
  },
  // The other neighbours
  {
    mistake: 'a ClickHouse URL without http',
    yaml: `${MINIMAL}clickhouse: { url: 'clickhouse:8123' }\n`,
    says: 'eventdispatch.yaml:3 clickhouse.url: "clickhouse:8123" is not allowed; allowed: an absolute http:// or https:// URL',
  },
  {
    mistake: 'a data folder that cannot be made',
    yaml: `${MINIMAL}clickhouse: { embeddedPath: eventdispatch.yaml/data }\n`,
    says: 'eventdispatch.yaml:3 clickhouse.embeddedPath: "eventdispatch.yaml/data" is not allowed: eventdispatch.yaml is no folder',
  },
  {
    mistake: 'a database name that SQL would not take',
    yaml: `${MINIMAL}clickhouse: { database: 'a; drop' }\n`,
    says: 'eventdispatch.yaml:3 clickhouse.database: "a; drop" is not allowed; allowed: a name of letters, digits and `_`',
  },
  {
    mistake: 'a cluster of the embedded engine',
    yaml: `${MINIMAL}clickhouse: { cluster: production }\n`,
    says: 'eventdispatch.yaml:3 clickhouse.cluster: "production" is not allowed without clickhouse.url: the embedded engine is alone',
  },
  {
    mistake: 'a cluster name that SQL would not take',
    yaml: `${MINIMAL}clickhouse: { url: 'http://clickhouse:8123', cluster: "a'; drop" }\n`,
    says: 'eventdispatch.yaml:3 clickhouse.cluster: "a\'; drop" is not allowed; allowed: the name of a cluster (letters, digits, `_`, `-`, `.`), or a macro such as `{cluster}`',
  },
  {
    mistake: 'rows kept for less than a restart may take',
    yaml: `${MINIMAL}clickhouse: { ttl: { attempts: 2h } }\n`,
    says: 'eventdispatch.yaml:3 clickhouse.ttl.attempts: "2h" is not allowed; allowed: a duration with a unit (ms, s, m, h, d), 1d to 36500d; or none',
  },
  {
    mistake: 'a schema folder that is not there',
    yaml: `${MINIMAL}schemas: { folder: nowhere }\n`,
    says: 'eventdispatch.yaml:3 schemas.folder: "nowhere" is not allowed: nowhere is no folder',
  },
  {
    mistake: 'a registry without a URL',
    yaml: `${MINIMAL}schemas: { registry: { timeout: 1s } }\n`,
    says: 'eventdispatch.yaml:3 schemas.registry.url: is required; allowed: an absolute http:// or https:// URL',
  },
  {
    mistake: 'a registry user without a password',
    yaml: `${MINIMAL}schemas: { registry: { url: 'http://r', username: u } }\n`,
    says: 'eventdispatch.yaml:3 schemas.registry.username: "u" is not enough; allowed: username and password together, or neither',
  },
  {
    mistake: 'a field mapping that is none',
    yaml: `${MINIMAL}fields:\n  topics:\n    orders: { id: 'header' , tenant: 'a..b' }\n`,
    says: 'eventdispatch.yaml:5 fields.topics.orders.tenant: "a..b" is not allowed; allowed: an Avro path such as `customer.id`, `header:NAME`, or `key` (`avro:key` is a field of that name)',
  },
  {
    mistake: 'an address range that is none',
    yaml: `${MINIMAL}delivery: { allowAddresses: [127.0.0.0/33] }\n`,
    says: 'eventdispatch.yaml:3 delivery.allowAddresses[0]: "127.0.0.0/33" is not allowed; allowed: an address or CIDR range such as 127.0.0.0/8 or fd00::/8',
  },
  {
    mistake: 'a name server by name',
    yaml: `${MINIMAL}delivery: { dns: { servers: [dns.example] } }\n`,
    says: 'eventdispatch.yaml:3 delivery.dns.servers[0]: "dns.example" is not allowed; allowed: an IP address, with a port as in 10.0.0.2:53 or [fd00::2]:53',
  },
  {
    mistake: 'a lane too small for one record',
    yaml: `${MINIMAL}lanes: { maxBytes: 512kb }\n`,
    says: 'eventdispatch.yaml:3 lanes.maxBytes: "512kb" is not allowed; allowed: at least kafka.maxRecordSize, or such a record never fits',
  },
  {
    mistake: 'an excerpt longer than what is read',
    yaml: `${MINIMAL}ledger: { responseExcerpt: 2kb }\ndelivery: { maxResponseSize: 1kb }\n`,
    says: 'eventdispatch.yaml:3 ledger.responseExcerpt: "2kb" is not allowed; allowed: at most delivery.maxResponseSize',
  },
  // References
  {
    mistake: 'a missing variable',
    yaml: `${MINIMAL}clickhouse:\n  password: \${env:CH_PASSWORD}\n`,
    says: 'eventdispatch.yaml:4 clickhouse.password: needs the environment variable CH_PASSWORD, which is not set',
  },
  {
    mistake: 'an unknown kind of reference',
    yaml: `${MINIMAL}clickhouse:\n  password: \${vault:x}\n`,
    says: 'eventdispatch.yaml:4 clickhouse.password: has an unknown reference ${vault:x}; allowed: ${env:NAME}, ${file:/path}',
  },
  {
    mistake: 'a missing variable in a list',
    yaml: `${MINIMAL}kafka:\n  topics: ['\${env:TOPIC}']\n`,
    says: 'eventdispatch.yaml:4 kafka.topics[0]: needs the environment variable TOPIC, which is not set',
  },
];
