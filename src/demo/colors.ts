import { isatty } from 'node:tty';
import picocolors from 'picocolors';

const STDOUT = 1;

/** Colours on a terminal only: picocolors alone would colour the log of a CI job too. */
export const hasColors = isatty(STDOUT) && picocolors.isColorSupported;

export const colors = picocolors.createColors(hasColors);
