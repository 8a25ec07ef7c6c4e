import type { Random } from './random.ts';

const FIRST_NAMES = [
  'Anna',
  'Bilal',
  'Chloé',
  'Dmitri',
  'Elena',
  'Femi',
  'Grace',
  'Hiroshi',
  'Inés',
  'Jonas',
];
const LAST_NAMES = [
  'Abara',
  'Berg',
  'Castillo',
  'Dubois',
  'Eriksen',
  'Fischer',
  'Gupta',
  'Hoffmann',
  'Ito',
  'Jensen',
];
const DOMAINS = ['example.com', 'example.org', 'mail.example.net', 'corp.example.com'];
const USER_AGENTS = [
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/126.0',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5) Safari/604.1',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) Safari/605.1',
];

export const COMPANIES = [
  'Northwind GmbH',
  'Acme Robotics',
  'Blue Harbor Ltd',
  'Kestrel Analytics',
  'Olmo y Cía',
];
export const PLACES = ['Berlin', 'Lisboa', 'Kraków', 'Toronto', 'Osaka'];
export const REGIONS = ['eu-central-1', 'eu-west-1', 'us-east-1', 'ap-northeast-1'];
export const CURRENCIES = ['EUR', 'USD', 'GBP', 'JPY', 'PLN'];
export const COMPONENTS = ['campaign-runner', 'mail-gateway', 'segment-builder', 'import-worker'];
export const CAMPAIGN_NAMES = ['Spring launch', 'Win-back', 'Onboarding', 'Black Friday early access'];

export interface Person {
  readonly firstName: string;
  readonly lastName: string;
  readonly email: string;
}

export function person(random: Random): Person {
  const firstName = random.pick(FIRST_NAMES);
  const lastName = random.pick(LAST_NAMES);
  return { firstName, lastName, email: emailOf(random, lastName) };
}

export function email(random: Random): string {
  return emailOf(random, random.pick(LAST_NAMES));
}

function emailOf(random: Random, lastName: string): string {
  return `${lastName.toLowerCase()}.${random.between(100, 99_999)}@${random.pick(DOMAINS)}`;
}

/** An id with a prefix that says what it names, such as `ct_9f86d081`. */
export function id(random: Random, prefix: string): string {
  return `${prefix}_${random.hex8()}`;
}

/** An address of the block that RFC 5737 reserves for documentation. */
export function ipAddress(random: Random): string {
  return `203.0.113.${random.between(1, 254)}`;
}

export function userAgent(random: Random): string {
  return random.pick(USER_AGENTS);
}

/** A value most of the time, else null. */
export function often<T>(random: Random, value: T): T | null {
  return random.chance(0.7) ? value : null;
}

export function phone(random: Random): string {
  return `+4930${random.between(1_000_000, 9_999_999)}`;
}

export function someOf<T>(random: Random, list: readonly T[], most: number): T[] {
  return Array.from({ length: random.between(1, most) }, () => random.pick(list));
}
