import { bind } from './arguments.ts'
import { raise } from './error.ts'
import { plain, shown, small, sorted, taker, type Filter } from './filter.ts'
import type { Meter } from './meter.ts'
import { operate } from './operators.ts'
import { printed } from './print.ts'
import { passes } from './tests.ts'
import {
  Generator,
  Group,
  Tuple,
  Undefined,
  compare,
  defined,
  equal,
  isDict,
  isText,
  iterate,
  orElse,
  textOf,
  truth,
  type Given,
  type Value,
} from './value.ts'

/** Applies a filter by name. */
export type Apply = (name: string, value: Value, given: Given, meter: Meter) => Value

const extreme =
  (wanted: number): Filter =>
  (value, given, meter) => {
    const args = bind('min', ['case_sensitive?', 'attribute?'], given)
    const take = taker(args.get('attribute'), meter)
    const key = (entry: Value): Value => (args.flag('case_sensitive', false) ? take(entry) : small(take(entry)))
    const items = iterate(value)
    return items.length === 0
      ? new Undefined('No aggregated item, sequence was empty.')
      : items.reduce((best, next) => (compare(key(next), key(best)) * wanted > 0 ? next : best))
  }

const choosing =
  (wanted: boolean, byAttribute: boolean): Filter =>
  (value, { positional, named }, meter) => {
    const [path, rest] = byAttribute
      ? [positional[0] ?? raise('Missing parameter for attribute name'), positional.slice(1)]
      : [undefined, positional]
    const take = taker(path, meter)
    const [test, ...others] = rest
    return new Generator(
      iterate(value).filter(
        entry =>
          (test === undefined
            ? truth(take(entry))
            : passes(printed(test), take(entry), { positional: others, named }, meter)) === wanted,
      ),
    )
  }

const mapping =
  (apply: Apply): Filter =>
  (value, { positional, named }, meter) => {
    if (positional.length === 0 && named.has('attribute')) {
      const unknown = [...named.keys()].find(name => name !== 'attribute' && name !== 'default')
      if (unknown !== undefined) raise(`Unexpected keyword argument '${unknown}'`)
      return new Generator(iterate(value).map(taker(named.get('attribute'), meter, named.get('default'))))
    }
    const [name, ...others] = positional
    return name === undefined
      ? raise('map requires a filter argument')
      : new Generator(iterate(value).map(entry => apply(printed(name), entry, { positional: others, named }, meter)))
  }

const grouped: Filter = (value, given, meter) => {
  const args = bind('groupby', ['attribute', 'default?', 'case_sensitive?'], given)
  const take = taker(args.get('attribute'), meter, args.get('default'))
  const key = (entry: Value): Value => (args.flag('case_sensitive', false) ? take(entry) : small(take(entry)))
  const groups: { key: Value; items: Value[] }[] = []
  const items = iterate(value)
  if (items.length > 1) items.forEach(entry => defined(key(entry)))
  for (const entry of sorted(items, entry => [key(entry)], false, meter)) {
    if (groups.length > 0 && equal(groups.at(-1)!.key, key(entry))) groups.at(-1)!.items.push(entry)
    else groups.push({ key: key(entry), items: [entry] })
  }
  return groups.map(group => new Group([take(group.items[0]!), group.items]))
}

const batches = (items: readonly Value[], size: number, fill: Value, meter: Meter): readonly Value[] => {
  if (size < 1) return raise('batch needs a size of at least 1')
  if (fill !== null && items.length > 0) meter.spend(size)
  const found = Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size))
  return found.map(batch =>
    fill === null ? batch : [...batch, ...Array.from({ length: size - batch.length }, () => fill)],
  )
}

const slices = (items: readonly Value[], count: number, fill: Value, meter: Meter): readonly Value[] => {
  if (count < 1) return raise('slice needs at least 1')
  meter.spend(count)
  const each = Math.floor(items.length / count)
  const longer = items.length % count
  return Array.from({ length: count }, (_, i) => {
    const start = i * each + Math.min(i, longer)
    const own = items.slice(start, start + each + (i < longer ? 1 : 0))
    return fill !== null && i >= longer ? [...own, fill] : own
  })
}

const reversed: Filter = plain(value =>
  isText(value) ? Array.from(textOf(value)).toReversed().join('') : new Generator(iterate(value).toReversed()),
)

const first = plain(value => orElse(iterate(value)[0], () => new Undefined('No first item, sequence was empty.')))
const last = plain(value =>
  value instanceof Generator
    ? raise("'generator' object is not reversible")
    : orElse(iterate(value).at(-1), () => new Undefined('No last item, sequence was empty.')),
)

/** Jinja's filters for lists and dicts. `map` applies other filters. */
export const listFilters = (apply: Apply): readonly (readonly [string, Filter])[] => [
  ['first', first],
  ['last', last],
  ['list', plain(value => [...iterate(value)])],
  [
    'join',
    (value, given, meter) => {
      const args = bind('join', ['d?', 'attribute?'], given)
      const by = shown(args.get('d') ?? '')
      const take = taker(args.get('attribute'), meter)
      const texts = iterate(value).map(entry => shown(take(entry)))
      meter.room(texts.reduce((sum, text) => sum + text.length + by.length, 0))
      return texts.join(by)
    },
  ],
  ['map', mapping(apply)],
  ['select', choosing(true, false)],
  ['reject', choosing(false, false)],
  ['selectattr', choosing(true, true)],
  ['rejectattr', choosing(false, true)],
  ['min', extreme(-1)],
  ['max', extreme(1)],
  ['groupby', grouped],
  ['reverse', reversed],
  [
    'sum',
    (value, given, meter) => {
      const args = bind('sum', ['attribute?', 'start?'], given)
      const take = taker(args.get('attribute'), meter)
      return iterate(value)
        .map(take)
        .reduce((sum, next) => operate('+', sum, next, meter), args.get('start') ?? 0n)
    },
  ],
  [
    'sort',
    (value, given, meter) => {
      const args = bind('sort', ['reverse?', 'case_sensitive?', 'attribute?'], given)
      const path = args.get('attribute')
      const takes = (typeof path === 'string' ? path.split(',') : [path]).map(step => taker(step, meter))
      const keys = (entry: Value): readonly Value[] =>
        takes.map(take => (args.flag('case_sensitive', false) ? take(entry) : small(take(entry))))
      return sorted(iterate(value), keys, args.flag('reverse', false), meter)
    },
  ],
  [
    'unique',
    (value, given, meter) => {
      const args = bind('unique', ['case_sensitive?', 'attribute?'], given)
      const take = taker(args.get('attribute'), meter)
      const seen: Value[] = []
      return new Generator(
        iterate(value).filter(entry => {
          const key = args.flag('case_sensitive', false) ? take(entry) : small(take(entry))
          meter.spend(seen.length)
          return !seen.some(other => equal(other, key)) && seen.push(key) > 0
        }),
      )
    },
  ],
  [
    'items',
    plain(value =>
      value instanceof Undefined
        ? new Generator([])
        : isDict(value)
          ? new Generator([...value].map(entry => new Tuple(entry)))
          : raise('Can only get item pairs from a mapping.'),
    ),
  ],
  [
    'dictsort',
    (value, given, meter) => {
      const args = bind('dictsort', ['case_sensitive?', 'by?', 'reverse?'], given)
      const by = args.text('by', 'key')
      if (by !== 'key' && by !== 'value') return raise('You can only sort by either "key" or "value"')
      const key = (entry: Value): Value => (entry as Tuple).items[by === 'key' ? 0 : 1]!
      const entries = isDict(value) ? [...value].map(entry => new Tuple(entry)) : raise('dictsort needs a dict')
      return sorted(
        entries,
        entry => [args.flag('case_sensitive', false) ? key(entry) : small(key(entry))],
        args.flag('reverse', false),
        meter,
      )
    },
  ],
  [
    'batch',
    (value, given, meter) => {
      const a = bind('batch', ['linecount', 'fill_with?'], given)
      return new Generator(batches(iterate(value), a.integer('linecount'), a.get('fill_with') ?? null, meter))
    },
  ],
  [
    'slice',
    (value, given, meter) => {
      const a = bind('slice', ['slices', 'fill_with?'], given)
      return new Generator(slices(iterate(value), a.integer('slices'), a.get('fill_with') ?? null, meter))
    },
  ],
]
