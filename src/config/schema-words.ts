/** Amounts and phrases that the parts of the schema share. */
export const MB = 1024 * 1024;
export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export const HTTP_URL = 'an absolute http:// or https:// URL';
