import { bind, integerOf } from './arguments.ts'
import { raise } from './error.ts'
import { capitalize, isLower, isUpper, title } from './letters.ts'
import { space } from './lexer.ts'
import type { Meter } from './meter.ts'
import { formatted, padded } from './printf.ts'
import { Tuple, isText, iterate, lengthOf, numberOf, part, textOf, typeOf, type Given, type Value } from './value.ts'

const lineEnds = ['\\r\\n|[\\n\\r\\v\\f', '\\x1c-\\x1e', '\\x85\\u2028\\u2029]'].join('')
const spaces = new RegExp(`[${space}]+`)

/** The lines of a text. @example splitLines('a\nb\n') // ['a', 'b'] */
export const splitLines = (text: string, keepEnds = false): readonly string[] => {
  const lines = text.split(new RegExp(`(${lineEnds})`))
  const whole = lines.flatMap((line, i) => (i % 2 === 1 ? [] : [keepEnds ? line + (lines[i + 1] ?? '') : line]))
  return whole.at(-1) === '' ? whole.slice(0, -1) : whole
}

/** Strips a text at its ends: white space, or the characters of a set. */
export const strip = (text: string, set: Value | undefined, left: boolean, right: boolean): string => {
  const chosen =
    set === undefined || set === null
      ? undefined
      : isText(set)
        ? new Set(textOf(set))
        : raise(`strip arg must be None or str, not ${typeOf(set)}`)
  const all = Array.from(text)
  const drops = (character: string): boolean => (chosen === undefined ? spaces.test(character) : chosen.has(character))
  let [start, end] = [0, all.length]
  if (left) while (start < end && drops(all[start]!)) start++
  if (right) while (end > start && drops(all[end - 1]!)) end--
  return all.slice(start, end).join('')
}

/** Replaces the first `count` occurrences in a text (all, if `count` is negative). */
export const replace = (text: string, old: string, by: string, count: number, meter: Meter): string => {
  const pieces = old === '' ? ['', ...Array.from(text), ''] : text.split(old)
  const times = count < 0 ? pieces.length - 1 : Math.min(count, pieces.length - 1)
  meter.room(text.length + times * by.length)
  return (
    pieces.slice(0, times + 1).join(by) +
    pieces
      .slice(times + 1)
      .map(piece => old + piece)
      .join('')
  )
}

/** The words of a text. With a limit, the text after the last split (or before it, from the right) stays as it is. */
const splitAtSpace = (text: string, most: number, fromRight: boolean): readonly string[] => {
  const words = [...text.matchAll(new RegExp(`[^${space}]+`, 'g'))]
  const all = words.map(word => word[0])
  if (most < 0 || words.length <= most) return all
  const rest = fromRight ? words[words.length - 1 - most]! : words[most]!
  return fromRight
    ? [text.slice(0, rest.index + rest[0].length), ...all.slice(all.length - most)]
    : [...all.slice(0, most), text.slice(rest.index)]
}

const split = (text: string, given: Given, fromRight: boolean, meter: Meter): Value => {
  const args = bind('split', ['sep?', 'maxsplit?'], given)
  const separator = args.get('sep') ?? null
  const most = args.integer('maxsplit', -1)
  meter.room(text.length * 4)
  if (separator === null) return splitAtSpace(text, most, fromRight)
  const by = args.text('sep')
  if (by === '') return raise('empty separator')
  const pieces = text.split(by)
  if (most < 0 || pieces.length - 1 <= most) return pieces
  return fromRight
    ? [pieces.slice(0, pieces.length - most).join(by), ...pieces.slice(pieces.length - most)]
    : [...pieces.slice(0, most), pieces.slice(most).join(by)]
}

const every = (text: string, kind: RegExp): boolean =>
  text !== '' && Array.from(text).every(character => kind.test(character))

/** The part of a text from `start` to `end`, and its offset. */
const within = (
  text: string,
  start: Value | undefined,
  end: Value | undefined,
): readonly [string, number] | undefined => {
  const length = lengthOf(text)
  const place = (value: Value | undefined, otherwise: number): number => {
    const n = value === undefined || value === null ? otherwise : integerOf(value)
    return n < 0 ? Math.max(0, n + length) : n
  }
  const from = place(start, 0)
  const to = Math.min(place(end, length), length)
  return from > to ? undefined : [part(text, from, to), from]
}

const find = (callee: string, text: string, given: Given, last: boolean): number => {
  const args = bind(callee, ['sub', 'start?', 'end?'], given)
  const where = within(text, args.get('start'), args.get('end'))
  if (where === undefined) return -1
  const unit = last ? where[0].lastIndexOf(args.text('sub')) : where[0].indexOf(args.text('sub'))
  return unit < 0 ? -1 : where[1] + lengthOf(where[0].slice(0, unit))
}

const affix = (callee: string, text: string, given: Given, fits: (text: string, affix: string) => boolean): boolean => {
  const args = bind(callee, ['prefix', 'start?', 'end?'], given)
  const where = within(text, args.get('start'), args.get('end'))
  const wanted = args.get('prefix')!
  const candidates = wanted instanceof Tuple ? wanted.items : [wanted]
  return candidates.some(candidate =>
    isText(candidate)
      ? where !== undefined && fits(where[0], textOf(candidate))
      : raise(`${callee} first arg must be str or a tuple of str, not ${typeOf(candidate)}`),
  )
}

const parted = (text: string, given: Given, last: boolean): Value => {
  const by = bind('partition', ['sep'], given).text('sep')
  if (by === '') return raise('empty separator')
  const at = last ? text.lastIndexOf(by) : text.indexOf(by)
  return at < 0
    ? new Tuple(last ? ['', '', text] : [text, '', ''])
    : new Tuple([text.slice(0, at), by, text.slice(at + by.length)])
}

const aligned = (text: string, given: Given, align: '<' | '>' | '^', meter: Meter): string => {
  const args = bind('center', ['width', 'fillchar?'], given)
  const width = args.integer('width')
  const fill = args.text('fillchar', ' ')
  if (lengthOf(fill) !== 1) return raise('The fill character must be exactly one character long')
  if (align !== '^') return padded(text, width, align, fill, meter)
  const missing = Math.max(0, width - lengthOf(text))
  const left = Math.floor(missing / 2) + (missing & width & 1)
  return padded(padded(text, lengthOf(text) + left, '>', fill, meter), width, '<', fill, meter)
}

type Method = (text: string, given: Given, meter: Meter) => Value
const plain =
  (make: (text: string) => Value): Method =>
  (text, given) => {
    bind('it', [], given)
    return make(text)
  }
const stripping =
  (left: boolean, right: boolean): Method =>
  (text, given) =>
    strip(text, bind('strip', ['chars?'], given).get('chars'), left, right)

/** The methods of a str. */
export const stringMethods: ReadonlyMap<string, Method> = new Map<string, Method>([
  ['upper', plain(text => text.toUpperCase())],
  ['lower', plain(text => text.toLowerCase())],
  ['title', plain(title)],
  ['capitalize', plain(capitalize)],
  [
    'swapcase',
    plain(text => Array.from(text, c => (/\p{Uppercase}/u.test(c) ? c.toLowerCase() : c.toUpperCase())).join('')),
  ],
  ['strip', stripping(true, true)],
  ['lstrip', stripping(true, false)],
  ['rstrip', stripping(false, true)],
  ['split', (text, given, meter) => split(text, given, false, meter)],
  ['rsplit', (text, given, meter) => split(text, given, true, meter)],
  ['splitlines', (text, given) => splitLines(text, bind('splitlines', ['keepends?'], given).flag('keepends', false))],
  [
    'join',
    (text, given, meter) => {
      const items = iterate(bind('join', ['iterable'], given).get('iterable')!)
      const texts = items.map((item, i) =>
        isText(item) ? textOf(item) : raise(`sequence item ${i}: expected str instance, ${typeOf(item)} found`),
      )
      meter.room(texts.reduce((sum, item) => sum + item.length + text.length, 0))
      return texts.join(text)
    },
  ],
  [
    'replace',
    (text, given, meter) => {
      const args = bind('replace', ['old', 'new', 'count?'], given)
      return replace(text, args.text('old'), args.text('new'), args.integer('count', -1), meter)
    },
  ],
  ['startswith', (text, given) => affix('startswith', text, given, (a, b) => a.startsWith(b))],
  ['endswith', (text, given) => affix('endswith', text, given, (a, b) => a.endsWith(b))],
  ['find', (text, given) => BigInt(find('find', text, given, false))],
  ['rfind', (text, given) => BigInt(find('rfind', text, given, true))],
  [
    'index',
    (text, given) => {
      const at = find('index', text, given, false)
      return at < 0 ? raise('substring not found') : BigInt(at)
    },
  ],
  [
    'rindex',
    (text, given) => {
      const at = find('rindex', text, given, true)
      return at < 0 ? raise('substring not found') : BigInt(at)
    },
  ],
  [
    'count',
    (text, given) => {
      const args = bind('count', ['sub', 'start?', 'end?'], given)
      const where = within(text, args.get('start'), args.get('end'))
      const sub = args.text('sub')
      return where === undefined ? 0n : BigInt(sub === '' ? lengthOf(where[0]) + 1 : where[0].split(sub).length - 1)
    },
  ],
  [
    'removeprefix',
    (text, given) => {
      const a = bind('removeprefix', ['prefix'], given).text('prefix')
      return text.startsWith(a) ? text.slice(a.length) : text
    },
  ],
  [
    'removesuffix',
    (text, given) => {
      const suffix = bind('removesuffix', ['suffix'], given).text('suffix')
      return suffix !== '' && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text
    },
  ],
  ['partition', (text, given) => parted(text, given, false)],
  ['rpartition', (text, given) => parted(text, given, true)],
  ['center', (text, given, meter) => aligned(text, given, '^', meter)],
  ['ljust', (text, given, meter) => aligned(text, given, '<', meter)],
  ['rjust', (text, given, meter) => aligned(text, given, '>', meter)],
  [
    'zfill',
    (text, given, meter) => {
      const width = numberOf(bind('zfill', ['width'], given).get('width')!)
      const sign = /^[-+]/.test(text) ? text[0]! : ''
      return sign + padded(text.slice(sign.length), Number(width) - sign.length, '>', '0', meter)
    },
  ],
  ['format', formatted],
  ['isspace', plain(text => every(text, spaces))],
  ['isalpha', plain(text => every(text, /\p{L}/u))],
  ['isdecimal', plain(text => every(text, /\p{Nd}/u))],
  ['isdigit', plain(text => every(text, /[\p{Nd}\u00b2\u00b3\u00b9\u2070\u2074-\u2079\u2080-\u2089]/u))],
  ['isnumeric', plain(text => every(text, /\p{N}/u))],
  ['isalnum', plain(text => every(text, /[\p{L}\p{N}]/u))],
  ['islower', plain(isLower)],
  ['isupper', plain(isUpper)],
  ['isascii', plain(text => !/[^\0-\x7f]/.test(text))],
])
