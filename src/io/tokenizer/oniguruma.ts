/**
 * Translates the expressions of Oniguruma (in its Ruby syntax), which `tokenizers` uses, to equivalent ones of
 * JavaScript and RE2. A construct that is not listed here is refused by name, because another engine may read it
 * differently. Source: kkos/oniguruma, doc/RE; test/golden/tokenizer compares both on every construct.
 */
import { refusal, quoted } from '../../text/index.ts'
import type { Translation } from '../../text/expression.ts'
import {
  all,
  categories,
  controls,
  folded,
  isLetter,
  onlyJs,
  point,
  range,
  same,
  scripts,
  sets,
  type Item,
} from './oniguruma-sets.ts'

/** A translation, and whether it uses categories of characters, which differ between versions of Unicode. */
export interface CategoryTranslation extends Translation {
  readonly byCategory: boolean
}

/**
 * Parses an expression from its first character to its last. Errors: a construct that is not supported; `subject`
 * begins the message.
 */
export const translate = (subject: string, source: string): CategoryTranslation => {
  const text = [...source]
  let at = 0
  let groups = 0
  let byCategory = false
  const refuse = (what: string): never => {
    throw refusal(`${subject}: ${quoted(source)} has ${what}, which is not supported`)
  }
  const ahead = (sought: string): boolean => [...sought].every((character, i) => text[at + i] === character)
  const take = (sought: string): boolean => {
    if (!ahead(sought)) return false
    at += sought.length
    return true
  }
  const matched = (expression: RegExp): string | undefined => {
    const found = expression.exec(text.slice(at, at + 40).join(''))?.[0]
    if (found !== undefined) at += [...found].length
    return found
  }

  /** Parses an escape: a character, or a set of them. */
  const escape = (): Item => {
    const hex = matched(/^(?:x[0-9a-fA-F]{2}|x\{[0-9a-fA-F]{1,6}\}|u[0-9a-fA-F]{4})/)
    if (hex !== undefined) {
      const code = parseInt(hex.replace(/[xu{}]/g, ''), 16)
      return code > 0x10ffff || (code >= 0xd800 && code < 0xe000)
        ? refuse(`no character \\${hex}`)
        : { character: String.fromCodePoint(code) }
    }
    const property = matched(/^[pP]\{[^}]*\}/)
    if (property !== undefined) {
      byCategory = true
      const name = property.slice(2, -1)
      if (categories.has(name)) return { set: same(`\\${property}`), property: name }
      return scripts.has(name)
        ? { set: { js: `\\${property[0]}{Script=${name}}`, re2: `\\${property}` }, property: name }
        : refuse(`the property \\${property}`)
    }
    const character = text[at++] ?? refuse('a backslash at its end')
    const set = sets.get(character)
    const control = controls.get(character)
    if (set !== undefined) {
      byCategory ||= character !== 's' && character !== 'S'
      return { set, property: character }
    }
    if (control !== undefined) return { character: control }
    return /^[0-9A-Za-z]$/.test(character) || character > '\x7f' ? refuse(`\\${character}`) : { character }
  }

  const fold = (character: string): Translation => all(folded(character).map(point), texts => texts.join(''))
  const written = (item: Item, ignoreCase: boolean): Translation => {
    if ('character' in item)
      return ignoreCase && isLetter(item.character) ? fold(item.character) : foreign(item.character, ignoreCase)
    return ignoreCase && /^(?:L[ultmo]|Latin|Greek|Cyrillic|Armenian)$/.test(item.property)
      ? refuse(`\\p{${item.property}} under (?i:`)
      : item.set
  }
  /** Translates a character that (?i) would fold in ways that are not listed here. */
  const foreign = (character: string, ignoreCase: boolean): Translation =>
    ignoreCase && !isLetter(character) && character > '\x7f'
      ? refuse(`${quoted(character)} under (?i:`)
      : point(character)

  /** Parses the inside of a class up to its closing bracket; nested classes are united with it. */
  const classItems = (ignoreCase: boolean): readonly Translation[] => {
    const items: Translation[] = []
    if (ahead(']')) refuse('a character class that begins with ]')
    while (!take(']')) {
      if (ahead('&&')) refuse('an intersection of classes')
      if (take('[')) {
        if (ahead(':') || ahead('^')) refuse('a class inside a class')
        items.push(...classItems(ignoreCase))
        continue
      }
      const next = text[at++] ?? refuse('a class without an end')
      const item: Item = next === '\\' ? escape() : { character: next }
      const isRange = ahead('-') && text[at + 1] !== ']' && text[at + 1] !== undefined
      if (!isRange || (next === '-' && items.length === 0)) {
        items.push(written(item, ignoreCase))
        continue
      }
      at++
      const last = text[at++]!
      const end: Item = last === '\\' ? escape() : last === '[' ? refuse('a range up to a class') : { character: last }
      if (!('character' in item && 'character' in end)) return refuse('a range between sets')
      const [from, to] = [item.character, end.character]
      if (from.codePointAt(0)! > to.codePointAt(0)!) refuse('a range that is empty')
      const both = from <= 'z' && to >= 'A'
      items.push(ignoreCase && (both || to > '\x7f') ? refuse('a range of letters under (?i:') : range(from, to))
    }
    return items
  }

  const group = (ignoreCase: boolean): Translation => {
    if (!take('?')) return all([alternatives(ignoreCase)], ([inside]) => `(?:${inside})`)
    if (take(':')) return all([alternatives(ignoreCase)], ([inside]) => `(?:${inside})`)
    if (take('i:')) {
      const end = text.indexOf(')', at)
      if (/ss|st|f[fil]/i.test(text.slice(at, end).join(''))) refuse('letters under (?i: that make a ligature')
      return all([alternatives(true)], ([inside]) => `(?:${inside})`)
    }
    const look = ['=', '!', '<=', '<!'].find(take)
    if (look !== undefined) return onlyJs(`(?${look}${alternatives(ignoreCase).js})`)
    if (take('>')) return atomic(alternatives(ignoreCase).js)
    return refuse(`the group (?${text[at] ?? ''}`)
  }
  /** A group without backtracking into it, by a lookahead and a reference to its capture. */
  const atomic = (js: string): Translation => {
    groups++
    return onlyJs(`(?:(?=(?<a${groups}>${js}))\\k<a${groups}>)`)
  }

  const atom = (ignoreCase: boolean): Translation => {
    const character = text[at++]!
    switch (character) {
      case '(': {
        const inside = group(ignoreCase)
        return take(')') ? inside : refuse('a group without an end')
      }
      case '[': {
        const negated = take('^')
        return all(
          [all(classItems(ignoreCase), texts => texts.join(''))],
          ([inside]) => `[${negated ? '^' : ''}${inside}]`,
        )
      }
      case '.':
        return { js: '[^\\n]', re2: '[^\\n]' }
      case '^':
        return onlyJs('(?<![^\\n])(?:(?<![\\s\\S])|(?=[\\s\\S]))')
      case '$':
        return onlyJs('(?![^\\n])')
      case '\\': {
        if (take('A')) return onlyJs('(?<![\\s\\S])')
        if (take('z')) return onlyJs('(?![\\s\\S])')
        if (take('W')) {
          byCategory = true
          return onlyJs(`[^${sets.get('w')!.js}]`)
        }
        return all([written(escape(), ignoreCase)], ([inside]) => `[${inside}]`)
      }
      case '*':
      case '+':
      case '?':
        return refuse(`${character} with nothing before it`)
      default:
        return all([written({ character }, ignoreCase)], ([inside]) => `[${inside}]`)
    }
  }

  const quantified = (ignoreCase: boolean): Translation => {
    const begin = at
    const inside = atom(ignoreCase)
    const quantifier = matched(/^(?:[*+?]|\{\d{1,4}(?:,\d{0,4})?\}|\{,\d{1,4}\})/)
    if (quantifier === undefined)
      return ahead('{') && /^\{[\d,]+\}/.test(text.slice(at, at + 16).join('')) ? refuse('this repetition') : inside
    if (text[begin] === '^' || text[begin] === '$' || /^\(\?<?[=!]/.test(text.slice(begin, begin + 4).join('')))
      refuse('a repeated assertion')
    const times = quantifier.replace('{,', '{0,')
    const simple = !quantifier.startsWith('{')
    const repeated = all([inside], ([one]) => `${one}${times}`)
    const result =
      simple && take('+')
        ? atomic(repeated.js)
        : simple && take('?')
          ? all([repeated], ([greedy]) => `${greedy}?`)
          : repeated
    return /^[*+?]/.test(text[at] ?? '') ? refuse('a repeated repetition') : result
  }

  const sequence = (ignoreCase: boolean): Translation => {
    const parts: Translation[] = []
    while (at < text.length && !ahead('|') && !ahead(')')) parts.push(quantified(ignoreCase))
    return all(parts, texts => texts.join(''))
  }
  const alternatives = (ignoreCase: boolean): Translation => {
    const options = [sequence(ignoreCase)]
    while (take('|')) options.push(sequence(ignoreCase))
    return all(options, texts => texts.join('|'))
  }

  const whole = alternatives(false)
  return at < text.length ? refuse('a bracket that opens nothing') : { ...whole, byCategory }
}
