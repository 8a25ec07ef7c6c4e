import picocolors from 'picocolors';

/** Colours on a terminal only: picocolors alone would colour the log of a CI job too. */
export const hasColors = process.stdout.isTTY && picocolors.isColorSupported;

export const colors = picocolors.createColors(hasColors);
