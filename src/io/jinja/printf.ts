import { integerOf, wholeOf } from './arguments.ts'
import { raise, unsupported } from './error.ts'
import type { Meter } from './meter.ts'
import { printed, repr } from './print.ts'
import {
  Tuple,
  Undefined,
  isDict,
  isList,
  isText,
  lengthOf,
  numberOf,
  textOf,
  typeOf,
  type Given,
  type Value,
} from './value.ts'

/** Pads a text to a width in characters. */
export const padded = (text: string, width: number, align: '<' | '>' | '^', fill: string, meter: Meter): string => {
  const missing = width - lengthOf(text)
  if (missing <= 0) return text
  meter.room(width)
  const left = align === '<' ? 0 : align === '>' ? missing : Math.floor(missing / 2)
  return fill.repeat(left) + text + fill.repeat(missing - left)
}

const isTie = (value: number, digits: number): boolean =>
  /^50*$/.test(
    value
      .toFixed(Math.min(100, digits + 60))
      .split('.')[1]!
      .slice(digits),
  )

/** A number with this many digits after the point, with ties to the even digit, as Python rounds. */
export const fixed = (value: number, digits: number): string => {
  if (digits > 40 || !(Math.abs(value) < 1e21)) return unsupported(`a number with ${digits} digits behind the point`)
  const text = Math.abs(value).toFixed(digits)
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  // JavaScript rounds a tie away from zero
  if (isTie(Math.abs(value), digits) && /[13579]$/.test(text)) {
    return sign + (Math.abs(value) - 0.5 * 10 ** -digits).toFixed(digits)
  }
  return sign + text
}

const real = (value: Value): number => {
  const number = numberOf(value)
  return number === undefined ? raise(`must be real number, not ${typeOf(value)}`) : Number(number)
}

const letterOf = (point: number): string =>
  point >= 0 && point <= 0x10ffff ? String.fromCodePoint(point) : raise('%c arg not in range(0x110000)')

/** Converts a number by the last letter of its format. */
const converted = (value: Value, letter: string, precision: number | undefined): string => {
  switch (letter) {
    case 'd':
    case 'i':
    case 'u': {
      const number = numberOf(value)
      return number === undefined
        ? raise(`%${letter} format: a real number is required, not ${typeOf(value)}`)
        : typeof number === 'bigint'
          ? String(number)
          : Number.isFinite(number)
            ? String(BigInt(Math.trunc(number)))
            : raise(`cannot convert float ${printed(number)} to integer`)
    }
    case 'f':
    case 'F':
      return fixed(real(value), precision ?? 6)
    case 'x':
      return wholeOf(value).toString(16)
    case 'X':
      return wholeOf(value).toString(16).toUpperCase()
    case 'o':
      return wholeOf(value).toString(8)
    case 'c':
      return isText(value) ? textOf(value) : letterOf(integerOf(value))
    default:
      return unsupported(`the format "${letter}"`)
  }
}

const signed = (digits: string, sign: string): string =>
  digits.startsWith('-') || sign === '' ? digits : sign + digits
const zeroed = (text: string, width: number, meter: Meter): string => {
  const sign = /^[-+ ]/.test(text) ? text[0]! : ''
  return sign + padded(text.slice(sign.length), width - sign.length, '>', '0', meter)
}

/** Python's `text % values`. @example percent('%d of %s', new Tuple([1n, 'a']), meter) // '1 of a' */
export const percent = (format: string, values: Value, meter: Meter): string => {
  const list = values instanceof Tuple ? values.items : [values]
  let next = 0
  const made = format.replace(
    /%(?:\(([^)]*)\))?([-+ #0]*)(\d+|\*)?(?:\.(\d+|\*))?([^])|%$/g,
    (all, key?: string, flags = '', width?: string, precision?: string, letter?: string) => {
      if (letter === undefined) return raise('incomplete format')
      if (letter === '%') return '%'
      if (width === '*' || precision === '*' || flags.includes('#')) return unsupported(`the format "${all}"`)
      const value =
        key === undefined ? list[next++] : isDict(values) ? values.get(key) : raise('format requires a mapping')
      if (value === undefined)
        return raise(key === undefined ? 'not enough arguments for format string' : `KeyError: '${key}'`)
      const digits = precision === undefined ? undefined : Number(precision)
      const isString = 'sra'.includes(letter)
      if (letter === 'a') return unsupported('the format "%a"')
      const text = isString
        ? Array.from(letter === 's' ? printed(value) : repr(value))
            .slice(0, digits)
            .join('')
        : signed(converted(value, letter, digits), flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '')
      const size = Number(width ?? 0)
      if (flags.includes('-')) return padded(text, size, '<', ' ', meter)
      return flags.includes('0') && !isString ? zeroed(text, size, meter) : padded(text, size, '>', ' ', meter)
    },
  )
  const isMapping = isDict(values) || isList(values) || values instanceof Undefined
  if (next < list.length && !isMapping) raise('not all arguments converted during string formatting')
  return meter.text(made)
}

const grouped = (digits: string): string => {
  const [whole = '', rest] = digits.split('.')
  return whole.replace(/\B(?=(\d{3})+$)/g, ',') + (rest === undefined ? '' : `.${rest}`)
}

/** Formats a value by the specification after the colon of a replacement field. */
const specified = (value: Value, spec: string, meter: Meter): string => {
  const found = /^(?:([^])?([<>^]))?([-+ ])?(0)?(\d+)?(,)?(?:\.(\d+))?([a-zA-Z%])?$/u.exec(spec)
  if (found === null) return unsupported(`the format "${spec}"`)
  const [, fill = ' ', align, sign = '', zero, width = '0', comma, precision, letter] = found
  const digits = precision === undefined ? undefined : Number(precision)
  if (isText(value)) {
    if ((letter ?? 's') !== 's' || sign !== '' || comma !== undefined)
      raise(`Unknown format code for object of type 'str': ${spec}`)
    return padded(
      Array.from(textOf(value)).slice(0, digits).join(''),
      Number(width),
      (align ?? '<') as '<',
      zero === undefined ? fill : '0',
      meter,
    )
  }
  if (numberOf(value) === undefined) return raise(`unsupported format string passed to ${typeOf(value)}.__format__`)
  if (letter === undefined && (digits !== undefined || typeof value === 'boolean'))
    return unsupported(`the format "${spec}"`)
  if (letter === 'd' && typeof value === 'number') return raise("Unknown format code 'd' for object of type 'float'")
  const plain =
    letter === undefined
      ? printed(value)
      : letter === '%'
        ? `${fixed(real(value) * 100, digits ?? 6)}%`
        : converted(value, letter, digits)
  const text = signed(comma === undefined ? plain : grouped(plain), sign === '-' ? '' : sign)
  return zero !== undefined && align === undefined
    ? zeroed(text, Number(width), meter)
    : padded(text, Number(width), (align ?? '>') as '>', fill, meter)
}

/** Python's `text.format(…)`, without access to attributes and items of the arguments. */
export const formatted = (format: string, { positional, named }: Given, meter: Meter): string => {
  let next = 0
  return meter.text(
    format.replace(
      /\{\{|\}\}|\{([^{}!:]*)(?:!([rs]))?(?::([^{}]*))?\}|[{}]/g,
      (all, field?: string, conversion?: string, spec = '') => {
        if (all === '{{' || all === '}}') return all[0]!
        if (field === undefined) return unsupported(`the format ${JSON.stringify(format)}`)
        if (!/^\w*$/.test(field)) return unsupported(`the replacement field {${field}}`)
        const value =
          field === '' ? positional[next++] : /^\d+$/.test(field) ? positional[Number(field)] : named.get(field)
        if (value === undefined) return raise(`nothing is given for the replacement field {${field}}`)
        const shown = conversion === 'r' ? repr(value) : conversion === 's' ? printed(value) : value
        return spec === '' ? printed(shown) : specified(shown, spec, meter)
      },
    ),
  )
}
