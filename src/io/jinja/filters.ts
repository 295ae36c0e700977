import { bind, integerOf } from './arguments.ts'
import { attribute, attributeOnly } from './attributes.ts'
import { raise, unsupported } from './error.ts'
import { plain, shown, type Filter } from './filter.ts'
import { toJson } from './json.ts'
import { capitalize } from './letters.ts'
import { longestInteger } from './lexer.ts'
import { listFilters } from './list-filters.ts'
import type { Meter } from './meter.ts'
import { escape } from './operators.ts'
import { fixed, padded, percent } from './printf.ts'
import { replace, splitLines, strip } from './strings.ts'
import {
  Markup,
  Tuple,
  Undefined,
  defined,
  isText,
  lengthOf,
  numberOf,
  orElse,
  part,
  sizeOf,
  textOf,
  truth,
  typeOf,
  type Given,
  type Value,
} from './value.ts'
import { weigh } from './weigh.ts'

const round: Filter = (value, given) => {
  const args = bind('round', ['precision?', 'method?'], given)
  const precision = args.integer('precision', 0)
  const method = args.text('method', 'common')
  const number = numberOf(defined(value))
  if (number === undefined) return raise(`type ${typeOf(value)} doesn't define __round__ method`)
  if (method === 'common')
    return typeof number === 'bigint'
      ? precision >= 0
        ? number
        : unsupported('rounding an int')
      : rounded(number, precision)
  if (method !== 'ceil' && method !== 'floor') return raise('method must be common, ceil or floor')
  return Math[method](Number(number) * 10 ** precision) / 10 ** precision
}
const rounded = (number: number, precision: number): number =>
  precision < 0 ? unsupported('rounding before the point') : Number(fixed(number, precision))

const toInteger: Filter = (value, given) => {
  const args = bind('int', ['default?', 'base?'], given)
  const base = args.integer('base', 10)
  const otherwise = orElse(args.get('default'), () => 0n)
  const number = numberOf(defined(value))
  if (number !== undefined)
    return typeof number === 'bigint' ? number : Number.isFinite(number) ? BigInt(Math.trunc(number)) : otherwise
  if (!isText(value)) return otherwise
  const text = strip(textOf(value), null, true, true)
  if (base !== 10) return unsupported(`the filter "int" with base ${base}`)
  if (text.length <= longestInteger && /^[-+]?\d+(?:_\d+)*$/.test(text)) return BigInt(text.replace(/[+_]/g, ''))
  const real = toFloat(value, { positional: [null], named: new Map() })
  return typeof real === 'number' && Number.isFinite(real) ? BigInt(Math.trunc(real)) : otherwise
}
const toFloat = (value: Value, given: Given): Value => {
  const otherwise = orElse(bind('float', ['default?'], given).get('default'), () => 0)
  const number = numberOf(defined(value))
  if (number !== undefined) return Number(number)
  const text = isText(value) ? strip(textOf(value), null, true, true) : ''
  if (/^[-+]?(?:inf(?:inity)?|nan)$/i.test(text))
    return /nan/i.test(text) ? NaN : text.startsWith('-') ? -Infinity : Infinity
  return /^[-+]?(?:\d[\d_]*(?:\.(?:\d[\d_]*)?)?|\.\d[\d_]*)(?:e[-+]?\d+)?$/i.test(text)
    ? Number(text.replaceAll('_', ''))
    : otherwise
}

const indent: Filter = (value, given, meter) => {
  const args = bind('indent', ['width?', 'first?', 'blank?'], given)
  const width = args.get('width') ?? 4n
  const margin = isText(width) ? textOf(width) : padded('', integerOf(width), '>', ' ', meter)
  const lines = splitLines(
    `${isText(value) ? textOf(value) : raise(`indent needs a str, not ${typeOf(defined(value))}`)}\n`,
  )
  meter.room(lines.reduce((sum, line) => sum + margin.length + line.length + 1, 0))
  const rest = lines.map((line, i) => (i === 0 || (line === '' && !args.flag('blank', false)) ? line : margin + line))
  return meter.text((args.flag('first', false) ? margin : '') + rest.join('\n'))
}

const truncate: Filter = (value, given) => {
  const args = bind('truncate', ['length?', 'killwords?', 'end?', 'leeway?'], given)
  const length = args.integer('length', 255)
  const end = args.text('end', '...')
  const text = isText(value) ? textOf(value) : unsupported('the filter "truncate" of anything but a text')
  if (lengthOf(text) <= length + args.integer('leeway', 5)) return text
  const cut = part(text, 0, length - lengthOf(end))
  const space = cut.lastIndexOf(' ')
  return (args.flag('killwords', false) || space < 0 ? cut : cut.slice(0, space)) + end
}

const size = plain(value => BigInt(sizeOf(value) ?? raise(`object of type '${typeOf(value)}' has no len()`)))
const otherwise: Filter = (value, given) => {
  const args = bind('default', ['default_value?', 'boolean?'], given)
  return value instanceof Undefined || (args.flag('boolean', false) && !truth(value))
    ? orElse(args.get('default_value'), () => '')
    : value
}
const escaped = plain(value => (isText(value) ? escape(value) : escape(shown(value))))

/** Jinja's filters. */
const filters: ReadonlyMap<string, Filter> = new Map<string, Filter>([
  ...listFilters((name, value, given, meter) => filtered(name, value, given, meter)),
  ['default', otherwise],
  ['d', otherwise],
  ['length', size],
  ['count', size],
  ['e', escaped],
  ['escape', escaped],
  ['forceescape', plain(value => escape(shown(value)))],
  ['safe', plain(value => new Markup(shown(value)))],
  ['string', plain(value => (value instanceof Markup ? value : shown(value)))],
  ['upper', plain(value => shown(value).toUpperCase())],
  ['lower', plain(value => shown(value).toLowerCase())],
  ['capitalize', plain(value => capitalize(shown(value)))],
  [
    'title',
    plain(value =>
      shown(value)
        .split(/([-\s({[<]+)/)
        .map(word => part(word, 0, 1).toUpperCase() + part(word, 1).toLowerCase())
        .join(''),
    ),
  ],
  ['trim', (value, given) => strip(shown(value), bind('trim', ['chars?'], given).get('chars'), true, true)],
  [
    'abs',
    plain(value => {
      const n = numberOf(defined(value))
      return n === undefined ? raise(`bad operand type for abs(): '${typeOf(value)}'`) : n < 0 ? -n : n
    }),
  ],
  ['round', round],
  ['int', toInteger],
  ['float', toFloat],
  [
    'replace',
    (value, given, meter) => {
      const args = bind('replace', ['old', 'new', 'count?'], given)
      return replace(
        shown(value),
        shown(args.get('old')!),
        shown(args.get('new')!),
        args.get('count') === null ? -1 : args.integer('count', -1),
        meter,
      )
    },
  ],
  ['tojson', toJson],
  ['indent', indent],
  ['truncate', truncate],
  ['attr', (value, given, meter) => attributeOnly(value, bind('attr', ['name'], given).text('name'), meter)],
  [
    'center',
    (value, given, meter) =>
      attributeCall(
        shown(value),
        'center',
        { positional: [BigInt(bind('center', ['width?'], given).integer('width', 80))], named: new Map() },
        meter,
      ),
  ],
  [
    'format',
    (value, { positional, named }, meter) =>
      positional.length > 0 && named.size > 0
        ? raise("can't handle positional and keyword arguments at the same time")
        : percent(shown(value), named.size > 0 ? new Map<Value, Value>(named) : new Tuple(positional), meter),
  ],
  ['wordcount', plain(value => BigInt(shown(value).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0))],
  [
    'urlencode',
    plain(value =>
      isText(value)
        ? encodeURIComponent(/\p{Surrogate}/u.test(textOf(value)) ? raise('surrogates not allowed') : textOf(value))
            .replaceAll('%2F', '/')
            .replace(/[!'()*]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
        : unsupported('the filter "urlencode" of anything but a text'),
    ),
  ],
])

const attributeCall = (object: Value, name: string, given: Given, meter: Meter): Value => {
  const method = attribute(object, name, meter)
  return 'call' in Object(method)
    ? (method as { call: (given: Given) => Value }).call(given)
    : raise(`'${name}' cannot be called`)
}

const others = new Set(['filesizeformat', 'pprint', 'random', 'striptags', 'urlize', 'wordwrap', 'xmlattr'])

/** The filters that do not look at all items. */
const constantTime = new Set(['default', 'd', 'first', 'last', 'length', 'count'])

/**
 * Applies a filter to a value. Ends the rendering if Jinja does not know the filter, or if it is not implemented here.
 */
export const filtered = (name: string, value: Value, given: Given, meter: Meter): Value => {
  const filter = filters.get(name)
  if (filter === undefined)
    return others.has(name) ? unsupported(`the filter "${name}"`) : raise(`No filter named '${name}'.`)
  if (
    value instanceof Markup &&
    !['e', 'escape', 'safe', 'string', 'forceescape', 'length', 'count', 'default', 'd', 'tojson'].includes(name)
  ) {
    return unsupported(`the filter "${name}" of an escaped text`)
  }
  if (!constantTime.has(name))
    for (const part of [value, ...given.positional, ...given.named.values()]) weigh(part, meter)
  else if (isText(value)) meter.spend(textOf(value).length / 64)
  return filter(value, given, meter)
}
