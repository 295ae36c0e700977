import { bind, integerOf } from './arguments.ts'
import { attribute, attributeOnly, item } from './attributes.ts'
import { raise, unsupported } from './error.ts'
import { toJson } from './json.ts'
import type { Meter } from './meter.ts'
import { escape, operate } from './operators.ts'
import { printed } from './print.ts'
import { fixed, padded, percent } from './printf.ts'
import { capitalize, replace, splitLines, strip } from './strings.ts'
import { passes } from './tests.ts'
import {
  Generator, Group, Markup, Tuple, Undefined, View, compare, defined, equal, isDict, isList, isText, iterate, lengthOf, numberOf, orElse, part, sizeOf,
  textOf, truth, typeOf, type Given, type Value
} from './value.ts'

export type Filter = (value: Value, given: Given, meter: Meter) => Value

const nothing: Given = { positional: [], named: new Map() }
const shown = (value: Value): string => printed(value)
const plain = (make: (value: Value) => Value): Filter => (value, given) => { bind('the filter', [], given); return make(value) }
const small = (value: Value): Value => typeof value === 'string' ? value.toLowerCase() : value

/** What an attribute like `user.name` or `0` of a filter's argument takes from a value. */
const taker = (path: Value | undefined, meter: Meter, otherwise?: Value) => (value: Value): Value => {
  if (path === undefined || path === null) return value
  const steps = typeof path === 'bigint' ? [path] : printed(path).split('.').map(step => /^\d+$/.test(step) ? BigInt(step) : step)
  return steps.reduce<Value>((inner, step) => {
    const found = item(inner, step, meter)
    return found instanceof Undefined && otherwise !== undefined && otherwise !== null ? otherwise : found
  }, value)
}

const sorted = (items: readonly Value[], keys: (value: Value) => readonly Value[], reversed: boolean, meter: Meter): readonly Value[] => {
  meter.spend(items.length * 8)
  const order = (a: readonly Value[], b: readonly Value[]): number => {
    const at = a.findIndex((key, i) => !equal(key, b[i]!))
    return at < 0 ? 0 : compare(a[at]!, b[at]!) * (reversed ? -1 : 1)
  }
  return items.map(value => [keys(value), value] as const).sort(([a], [b]) => order(a, b)).map(([, value]) => value)
}

const extreme = (wanted: number): Filter => (value, given, meter) => {
  const args = bind('min', ['case_sensitive?', 'attribute?'], given), take = taker(args.get('attribute'), meter)
  const key = (entry: Value): Value => args.flag('case_sensitive', false) ? take(entry) : small(take(entry))
  const items = iterate(value)
  return items.length === 0 ? new Undefined('No aggregated item, sequence was empty.')
    : items.reduce((best, next) => compare(key(next), key(best)) * wanted > 0 ? next : best)
}

const choosing = (wanted: boolean, byAttribute: boolean): Filter => (value, { positional, named }, meter) => {
  const [path, rest] = byAttribute ? [positional[0] ?? raise('Missing parameter for attribute name'), positional.slice(1)] : [undefined, positional]
  const take = taker(path, meter), [test, ...others] = rest
  return new Generator(iterate(value).filter(entry =>
    (test === undefined ? truth(take(entry)) : passes(printed(test), take(entry), { positional: others, named }, meter)) === wanted))
}

const mapping: Filter = (value, { positional, named }, meter) => {
  if (positional.length === 0 && named.has('attribute')) {
    const unknown = [...named.keys()].find(name => name !== 'attribute' && name !== 'default')
    if (unknown !== undefined) raise(`Unexpected keyword argument '${unknown}'`)
    return new Generator(iterate(value).map(taker(named.get('attribute'), meter, named.get('default'))))
  }
  const [name, ...others] = positional
  return name === undefined ? raise('map requires a filter argument')
    : new Generator(iterate(value).map(entry => filtered(printed(name), entry, { positional: others, named }, meter)))
}

const round: Filter = (value, given) => {
  const args = bind('round', ['precision?', 'method?'], given), precision = args.integer('precision', 0), method = args.text('method', 'common')
  const number = numberOf(defined(value))
  if (number === undefined) return raise(`type ${typeOf(value)} doesn't define __round__ method`)
  if (method === 'common') return typeof number === 'bigint' ? (precision >= 0 ? number : unsupported('rounding an int')) : rounded(number, precision)
  if (method !== 'ceil' && method !== 'floor') return raise('method must be common, ceil or floor')
  return Math[method](Number(number) * 10 ** precision) / 10 ** precision
}
const rounded = (number: number, precision: number): number => precision < 0 ? unsupported('rounding before the point') : Number(fixed(number, precision))

const toInteger: Filter = (value, given) => {
  const args = bind('int', ['default?', 'base?'], given), base = args.integer('base', 10), otherwise = orElse(args.get('default'), () => 0n)
  const number = numberOf(defined(value))
  if (number !== undefined) return typeof number === 'bigint' ? number : Number.isFinite(number) ? BigInt(Math.trunc(number)) : otherwise
  if (!isText(value)) return otherwise
  const text = strip(textOf(value), null, true, true)
  if (base !== 10) return unsupported(`the filter "int" with base ${base}`)
  if (/^[-+]?\d+(?:_\d+)*$/.test(text)) return BigInt(text.replace(/[+_]/g, ''))
  const real = toFloat(value, { positional: [null], named: new Map() })
  return typeof real === 'number' && Number.isFinite(real) ? BigInt(Math.trunc(real)) : otherwise
}
const toFloat = (value: Value, given: Given): Value => {
  const otherwise = orElse(bind('float', ['default?'], given).get('default'), () => 0), number = numberOf(defined(value))
  if (number !== undefined) return Number(number)
  const text = isText(value) ? strip(textOf(value), null, true, true) : ''
  if (/^[-+]?(?:inf(?:inity)?|nan)$/i.test(text)) return /nan/i.test(text) ? NaN : text.startsWith('-') ? -Infinity : Infinity
  return /^[-+]?(?:\d[\d_]*\.?(?:\d[\d_]*)?|\.\d[\d_]*)(?:e[-+]?\d+)?$/i.test(text) ? Number(text.replaceAll('_', '')) : otherwise
}

const indent: Filter = (value, given, meter) => {
  const args = bind('indent', ['width?', 'first?', 'blank?'], given), width = args.get('width') ?? 4n
  const margin = isText(width) ? textOf(width) : padded('', integerOf(width), '>', ' ', meter), lines = splitLines(`${isText(value) ? textOf(value) : raise(`indent needs a str, not ${typeOf(defined(value))}`)}\n`)
  const rest = lines.map((line, i) => i === 0 || (line === '' && !args.flag('blank', false)) ? line : margin + line)
  return meter.text((args.flag('first', false) ? margin : '') + rest.join('\n'))
}

const truncate: Filter = (value, given) => {
  const args = bind('truncate', ['length?', 'killwords?', 'end?', 'leeway?'], given), length = args.integer('length', 255), end = args.text('end', '...')
  const text = isText(value) ? textOf(value) : unsupported('the filter "truncate" of anything but a text')
  if (lengthOf(text) <= length + args.integer('leeway', 5)) return text
  const cut = part(text, 0, length - lengthOf(end)), space = cut.lastIndexOf(' ')
  return (args.flag('killwords', false) || space < 0 ? cut : cut.slice(0, space)) + end
}

const grouped: Filter = (value, given, meter) => {
  const args = bind('groupby', ['attribute', 'default?', 'case_sensitive?'], given), take = taker(args.get('attribute'), meter, args.get('default'))
  const key = (entry: Value): Value => args.flag('case_sensitive', false) ? take(entry) : small(take(entry))
  const groups: { key: Value, items: Value[] }[] = []
  const items = iterate(value)
  if (items.length > 1) items.forEach(entry => defined(key(entry)))
  for (const entry of sorted(items, entry => [key(entry)], false, meter)) {
    if (groups.length > 0 && equal(groups.at(-1)!.key, key(entry))) groups.at(-1)!.items.push(entry)
    else groups.push({ key: key(entry), items: [entry] })
  }
  return groups.map(group => new Group([take(group.items[0]!), group.items]))
}

const batches = (items: readonly Value[], size: number, fill: Value): readonly Value[] => {
  if (size < 1) return raise('batch needs a size of at least 1')
  const found = Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size))
  return found.map(batch => fill === null ? batch : [...batch, ...Array.from({ length: size - batch.length }, () => fill)])
}

const slices = (items: readonly Value[], count: number, fill: Value): readonly Value[] => {
  if (count < 1) return raise('slice needs at least 1')
  const each = Math.floor(items.length / count), longer = items.length % count
  return Array.from({ length: count }, (_, i) => {
    const start = i * each + Math.min(i, longer), own = items.slice(start, start + each + (i < longer ? 1 : 0))
    return fill !== null && i >= longer ? [...own, fill] : own
  })
}

const reversed: Filter = plain(value => isText(value) ? Array.from(textOf(value)).toReversed().join('')
  : new Generator(iterate(value).toReversed()))

const first = plain(value => orElse(iterate(value)[0], () => new Undefined('No first item, sequence was empty.')))
const last = plain(value => value instanceof Generator ? raise("'generator' object is not reversible")
  : orElse(iterate(value).at(-1), () => new Undefined('No last item, sequence was empty.')))
const size = plain(value => BigInt(sizeOf(value) ?? raise(`object of type '${typeOf(value)}' has no len()`)))
const otherwise: Filter = (value, given) => {
  const args = bind('default', ['default_value?', 'boolean?'], given)
  return value instanceof Undefined || (args.flag('boolean', false) && !truth(value)) ? orElse(args.get('default_value'), () => '') : value
}
const escaped = plain(value => isText(value) ? escape(value) : escape(shown(value)))

/** Jinja's filters. */
export const filters: ReadonlyMap<string, Filter> = new Map<string, Filter>([
  ['default', otherwise], ['d', otherwise], ['first', first], ['last', last], ['length', size], ['count', size],
  ['e', escaped], ['escape', escaped], ['forceescape', plain(value => escape(shown(value)))], ['safe', plain(value => new Markup(shown(value)))],
  ['string', plain(value => value instanceof Markup ? value : shown(value))], ['list', plain(value => [...iterate(value)])],
  ['upper', plain(value => shown(value).toUpperCase())], ['lower', plain(value => shown(value).toLowerCase())],
  ['capitalize', plain(value => capitalize(shown(value)))],
  ['title', plain(value => shown(value).split(/([-\s({[<]+)/).map(word => part(word, 0, 1).toUpperCase() + part(word, 1).toLowerCase()).join(''))],
  ['trim', (value, given) => strip(shown(value), bind('trim', ['chars?'], given).get('chars'), true, true)],
  ['abs', plain(value => { const n = numberOf(defined(value)); return n === undefined ? raise(`bad operand type for abs(): '${typeOf(value)}'`) : n < 0 ? -n : n })],
  ['round', round], ['int', toInteger], ['float', toFloat],
  ['join', (value, given, meter) => {
    const args = bind('join', ['d?', 'attribute?'], given), by = shown(args.get('d') ?? ''), take = taker(args.get('attribute'), meter)
    const texts = iterate(value).map(entry => shown(take(entry)))
    meter.room(texts.reduce((sum, text) => sum + text.length + by.length, 0))
    return texts.join(by)
  }],
  ['replace', (value, given, meter) => {
    const args = bind('replace', ['old', 'new', 'count?'], given)
    return replace(shown(value), shown(args.get('old')!), shown(args.get('new')!), args.get('count') === null ? -1 : args.integer('count', -1), meter)
  }],
  ['tojson', toJson], ['indent', indent], ['truncate', truncate], ['map', mapping],
  ['select', choosing(true, false)], ['reject', choosing(false, false)], ['selectattr', choosing(true, true)], ['rejectattr', choosing(false, true)],
  ['min', extreme(-1)], ['max', extreme(1)], ['groupby', grouped], ['reverse', reversed],
  ['sum', (value, given, meter) => {
    const args = bind('sum', ['attribute?', 'start?'], given), take = taker(args.get('attribute'), meter)
    return iterate(value).map(take).reduce((sum, next) => operate('+', sum, next, meter), args.get('start') ?? 0n)
  }],
  ['sort', (value, given, meter) => {
    const args = bind('sort', ['reverse?', 'case_sensitive?', 'attribute?'], given), path = args.get('attribute')
    const takes = (typeof path === 'string' ? path.split(',') : [path]).map(step => taker(step, meter))
    const keys = (entry: Value): readonly Value[] => takes.map(take => args.flag('case_sensitive', false) ? take(entry) : small(take(entry)))
    return sorted(iterate(value), keys, args.flag('reverse', false), meter)
  }],
  ['unique', (value, given, meter) => {
    const args = bind('unique', ['case_sensitive?', 'attribute?'], given), take = taker(args.get('attribute'), meter)
    const seen: Value[] = []
    return new Generator(iterate(value).filter(entry => {
      const key = args.flag('case_sensitive', false) ? take(entry) : small(take(entry))
      meter.spend(seen.length)
      return !seen.some(other => equal(other, key)) && seen.push(key) > 0
    }))
  }],
  ['items', plain(value => value instanceof Undefined ? new Generator([]) : isDict(value) ? new Generator([...value].map(entry => new Tuple(entry)))
    : raise('Can only get item pairs from a mapping.'))],
  ['dictsort', (value, given, meter) => {
    const args = bind('dictsort', ['case_sensitive?', 'by?', 'reverse?'], given), by = args.text('by', 'key')
    if (by !== 'key' && by !== 'value') return raise('You can only sort by either "key" or "value"')
    const key = (entry: Value): Value => (entry as Tuple).items[by === 'key' ? 0 : 1]!
    const entries = isDict(value) ? [...value].map(entry => new Tuple(entry)) : raise('dictsort needs a dict')
    return sorted(entries, entry => [args.flag('case_sensitive', false) ? key(entry) : small(key(entry))], args.flag('reverse', false), meter)
  }],
  ['attr', (value, given, meter) => attributeOnly(value, bind('attr', ['name'], given).text('name'), meter)],
  ['batch', (value, given) => { const a = bind('batch', ['linecount', 'fill_with?'], given); return new Generator(batches(iterate(value), a.integer('linecount'), a.get('fill_with') ?? null)) }],
  ['slice', (value, given) => { const a = bind('slice', ['slices', 'fill_with?'], given); return new Generator(slices(iterate(value), a.integer('slices'), a.get('fill_with') ?? null)) }],
  ['center', (value, given, meter) => attributeCall(shown(value), 'center', { positional: [BigInt(bind('center', ['width?'], given).integer('width', 80))], named: new Map() }, meter)],
  ['format', (value, { positional, named }, meter) => positional.length > 0 && named.size > 0 ? raise("can't handle positional and keyword arguments at the same time")
    : percent(shown(value), named.size > 0 ? new Map<Value, Value>(named) : new Tuple(positional), meter)],
  ['wordcount', plain(value => BigInt(shown(value).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0))],
  ['urlencode', plain(value => isText(value) ? encodeURIComponent(textOf(value)).replaceAll('%2F', '/').replace(/[!'()*]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    : unsupported('the filter "urlencode" of anything but a text'))]
])

const attributeCall = (object: Value, name: string, given: Given, meter: Meter): Value => {
  const method = attribute(object, name, meter)
  return 'call' in Object(method) ? (method as { call: (given: Given) => Value }).call(given) : raise(`'${name}' cannot be called`)
}

const others = new Set(['filesizeformat', 'pprint', 'random', 'striptags', 'urlize', 'wordwrap', 'xmlattr'])

/** What a filter makes of a value. Ends the rendering on a filter that Jinja does not know, or that is not here. */
export const filtered = (name: string, value: Value, given: Given, meter: Meter): Value => {
  const filter = filters.get(name)
  if (filter === undefined) return others.has(name) ? unsupported(`the filter "${name}"`) : raise(`No filter named '${name}'.`)
  if (value instanceof Markup && !['e', 'escape', 'safe', 'string', 'forceescape', 'length', 'count', 'default', 'd', 'tojson'].includes(name)) {
    return unsupported(`the filter "${name}" of an escaped text`)
  }
  if (isList(value) || value instanceof View) meter.spend(iterate(value).length)
  return filter(value, given, meter)
}

export { nothing as noArguments }
