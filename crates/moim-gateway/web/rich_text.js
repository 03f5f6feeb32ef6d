// What people wrote, as nodes: text as text, addresses of the web as links, the very long folded.
// Not here: the bubble around it (`message_item.js`).

/** Letters and lines that a message shows by itself. */
export const FOLD_LETTERS = 3_000;
const FOLD_LINES = 60;
/** Each press shows so many times more: a megabyte is there after four. */
export const UNFOLD_TIMES = 8;

/**
 * Only what begins as a web address. No white space, no quotes or angles, and no letter that turns the direction of
 * writing: a link must lead where it reads.
 */
const ADDRESS = /https?:\/\/[^\s<>"'\u0060\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]{1,2000}/giu;
/** Ends a sentence more often than an address. */
const TRAILING = /[.,:;!?…。、，！？」』）)\]}*_~]+$/u;

/**
 * How much of a text is shown at first: whole letters, and not too many lines.
 * @param {string} content
 * @param {number} letters
 */
export function folded(content, letters) {
  let end = content.length > letters ? letters : content.length;
  for (let line = 0, at = -1; line < (FOLD_LINES * letters) / FOLD_LETTERS; line += 1) {
    at = content.indexOf('\n', at + 1);
    if (at < 0 || at >= end) break;
    if (line + 1 >= (FOLD_LINES * letters) / FOLD_LETTERS) end = at;
  }
  // Half a letter shows as nothing.
  const isHalf = end < content.length && /[\ud800-\udbff]/.test(content[end - 1] ?? '');
  return content.slice(0, isHalf ? end - 1 : end);
}

/** Where an address may lead, or null. @param {string} text @returns {URL | null} */
export function webAddress(text) {
  try {
    const url = new URL(text);
    return (url.protocol === 'http:' || url.protocol === 'https:') && url.hostname !== '' ? url : null;
  } catch {
    return null;
  }
}

/** The end of an address inside a sentence: brackets that were opened in it belong to it. @param {string} text */
export function withoutTrailing(text) {
  for (let kept = text; ; ) {
    const end = TRAILING.exec(kept);
    if (!end) return kept;
    const closes = kept[end.index] === ')' && kept.slice(0, end.index).includes('(');
    const next = kept.slice(0, closes ? end.index + 1 : end.index);
    if (next === kept) return kept;
    kept = next;
  }
}

/**
 * A name as it is shown: letters that turn the direction of what stands beside it are left out. (An element of its own
 * does not hold them: the letter that ends an isolation ends that one as well.)
 * @param {string} name
 */
export function plainName(name) {
  return name.replace(/[\u202a-\u202e\u2066-\u2069]/g, '') || '?';
}

/** @param {string} content @returns {Node[]} */
export function richText(content) {
  /** @type {Node[]} */
  const nodes = [];
  let written = 0;
  for (const match of content.matchAll(ADDRESS)) {
    const text = withoutTrailing(match[0]);
    const url = webAddress(text);
    if (!url) continue;
    nodes.push(document.createTextNode(content.slice(written, match.index)), link(text, url));
    written = match.index + text.length;
  }
  nodes.push(document.createTextNode(content.slice(written)));
  return nodes.filter((node) => node.textContent !== '');
}

/** @param {string} text @param {URL} url */
function link(text, url) {
  const anchor = document.createElement('a');
  anchor.href = url.href;
  anchor.textContent = text;
  anchor.target = '_blank';
  anchor.rel = 'noopener noreferrer nofollow ugc';
  // Where it really leads, a foreign alphabet spelt out.
  anchor.title = url.href.length > 300 ? `${url.href.slice(0, 300)}…` : url.href;
  return anchor;
}
