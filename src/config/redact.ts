/** What stands in place of a secret. */
export const MASK = '********';

/** Names that hold one, of librdkafka's properties. */
const SECRET_NAME =
  /password|passphrase|secret|token|credential|(?:^|[._])key(?:[._]|$)|\.pem$|oauthbearer\.config|kinit\.cmd/i;
/** … and those among them that only say where it is. */
const PLACE_NAME = /\.(?:location|file|path|url|id)$|^ssl\.ca\.pem$|^ssl\.certificate\.pem$/i;

export function isSecretProperty(name: string): boolean {
  return SECRET_NAME.test(name) && !PLACE_NAME.test(name);
}

/**
 * Masks the user part and the values of the query of a URL in a text. Rather too
 * much than too little: a password may hold any of the characters that end one.
 */
export function redactUrls(text: string): string {
  const withoutUser = text
    .replace(/(:\/\/)[^\s",]*:[^\s",]*@/g, `$1${MASK}@`)
    .replace(/(^|[\s",])[^\s",:/]*:(?!\/\/)[^\s",]*@/g, `$1${MASK}@`);
  if (!text.includes('://')) return withoutUser;
  return withoutUser
    .replace(/:\/\/[^\s/?#"]*@/g, `://${MASK}@`)
    .replace(/([?&][^=&#\s]+)=[^&#\s"]+/g, (_whole, name: string) => `${name}=${MASK}`)
    .replace(/\?[^=&#\s"]+(?=$|[#\s"])/g, `?${MASK}`);
}
