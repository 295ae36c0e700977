const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
/** Tests one key: `*` stands for any text in it. */
const fits = (pattern: string, key: string): boolean =>
  new RegExp(`^${pattern.split('*').map(escaped).join('.*')}$`, 's').test(key)

const matches = (pattern: readonly string[], keys: readonly string[]): boolean => {
  const [first, ...rest] = pattern
  const [key, ...below] = keys
  if (first === undefined) return key === undefined
  if (first === '**') return matches(rest, keys) || (key !== undefined && matches(pattern, below))
  return key !== undefined && fits(first, key) && matches(rest, below)
}

/** True if a pattern is a path: it matches nothing else. */
export const isPath = (pattern: string): boolean => !pattern.includes('*')

/**
 * Tests whether a pattern is about a leaf. In it, `*` stands for one key or a part of one, and `**` for any number of
 * keys.
 * @example isAbout('layers.*.up', 'layers.0.up'), isAbout('**.bias', 'bias')
 */
export const isAbout = (pattern: string, path: string): boolean => matches(pattern.split('.'), path.split('.'))
