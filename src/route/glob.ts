/**
 * Event-type globs over dot-separated segments: `*` matches within one segment
 * (`contact.*`, `email.open*`), `**` any number of segments, none included
 * (`**`, `crm.**`). Everything else is literal and case-sensitive.
 *
 * Matching is total and takes at most pattern × type steps: globs are tenant
 * input, and a native regular expression made of them could be made to hang.
 */
export function globMatches(glob: string, type: string): boolean {
  return segmentsMatch(glob.split('.'), type.split('.'));
}

/** Greedy with one point of return per kind of star, the classic linear-space wildcard match. */
function segmentsMatch(glob: readonly string[], type: readonly string[]): boolean {
  let g = 0;
  let t = 0;
  let starGlob = -1;
  let starType = 0;
  while (t < type.length) {
    const pattern = glob[g];
    if (pattern === '**') {
      starGlob = g++;
      starType = t;
    } else if (pattern !== undefined && segmentMatches(pattern, type[t] as string)) {
      g++;
      t++;
    } else if (starGlob >= 0) {
      g = starGlob + 1;
      t = ++starType;
    } else {
      return false;
    }
  }
  while (glob[g] === '**') g++;
  return g === glob.length;
}

function segmentMatches(pattern: string, segment: string): boolean {
  let p = 0;
  let s = 0;
  let star = -1;
  let mark = 0;
  while (s < segment.length) {
    if (pattern[p] === '*') {
      star = p++;
      mark = s;
    } else if (p < pattern.length && pattern[p] === segment[s]) {
      p++;
      s++;
    } else if (star >= 0) {
      p = star + 1;
      s = ++mark;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}
