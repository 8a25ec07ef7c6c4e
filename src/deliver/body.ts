import type { BodyFormat } from '../domain/destination.ts';
import type { Event } from '../domain/event.ts';

/** Characters that JSON writes as they are: no quote, backslash, control character or lone surrogate. */
const PLAIN = /^[\x20-\x21\x23-\x5b\x5d-\x7e]*$/;

/** A CloudEvent must name a source (CloudEvents 1.0 §3.1.1); this one says that the record did not. */
const UNKNOWN_SOURCE = 'urn:eventdispatch:unknown-source';

export const CONTENT_TYPE: Readonly<Record<BodyFormat, string>> = {
  cloudevents: 'application/cloudevents+json; charset=utf-8',
  data: 'application/json',
};

/**
 * The request body of an event: CloudEvents 1.0 structured JSON, with the tenant
 * and the correlation id as extension attributes, or the data alone.
 */
export function encodeBody(event: Event, format: BodyFormat): Buffer {
  if (format === 'data') return event.data;
  const attributes = attributesOf(event);
  if (attributes.length * MAX_BYTES_PER_UNIT > scratch.length) {
    scratch = Buffer.allocUnsafeSlow(attributes.length * MAX_BYTES_PER_UNIT);
  }
  const attributeBytes = scratch.write(attributes, 0, 'utf8');
  const body = Buffer.allocUnsafe(attributeBytes + event.data.length + 1);
  scratch.copy(body, 0, 0, attributeBytes);
  body.set(event.data, attributeBytes);
  body[body.length - 1] = CLOSING_BRACE;
  return body;
}

/** UTF-8 needs at most three bytes for one UTF-16 unit. */
const MAX_BYTES_PER_UNIT = 3;
const CLOSING_BRACE = 0x7d;
/** Where attributes become bytes, so that the body itself can be made as long as it will be. */
let scratch = Buffer.allocUnsafeSlow(4096);

/** The object up to its data. */
function attributesOf(event: Event): string {
  return (
    `{"specversion":"1.0","id":${quoted(event.id)},"source":${quoted(event.source || UNKNOWN_SOURCE)},"type":${quoted(event.type)}` +
    `,"time":"${isoTime(event.timeMs)}","datacontenttype":"application/json"` +
    attribute('subject', event.key) +
    `,"tenantid":${quoted(event.tenant)}` +
    attribute('correlationid', event.correlationId) +
    attribute('eventversion', event.version) +
    ',"data":'
  );
}

const MS_PER_SECOND = 1000;
/** Of `YYYY-MM-DDTHH:MM:SS.000Z`, what changes within a second: the digits and the Z. */
const MS_SUFFIX_CHARACTERS = 4;
let lastSecond = NaN;
let lastSecondText = '';

/** A time as RFC 3339, in milliseconds. Events come in order of time, more or less, so the last second is kept. */
function isoTime(epochMs: number): string {
  const second = Math.floor(epochMs / MS_PER_SECOND);
  if (second !== lastSecond) {
    lastSecond = second;
    lastSecondText = new Date(second * MS_PER_SECOND).toISOString().slice(0, -MS_SUFFIX_CHARACTERS);
  }
  const ms = Math.floor(epochMs) - second * MS_PER_SECOND;
  return `${lastSecondText}${ms < 100 ? '0' : ''}${ms < 10 ? '0' : ''}${ms}Z`;
}

function attribute(name: string, value: string): string {
  return value === '' ? '' : `,"${name}":${quoted(value)}`;
}

function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text);
}
