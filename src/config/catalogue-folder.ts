import { fileURLToPath } from 'node:url';

/** The schemas of the sample catalogue; the path is the same from src/ and from dist/. */
export const catalogueFolder = fileURLToPath(new URL('../../schemas', import.meta.url));
