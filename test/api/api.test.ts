import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { apiFile, apiText, publicEntries, type Entry, type PublicName } from '../support/public-api.ts'

/** Runtime names that `partensor` may have: a newcomer reads them on one screen. */
const most = 200

const entries = publicEntries()

/** The parts of a text between empty lines. */
const parts = (text: string): readonly string[] => text.trimEnd().split('\n\n')
const beyond = (some: readonly string[], others: readonly string[], mark: string): readonly string[] => {
  const known = new Set(others)
  return some.filter(part => !known.has(part)).map(part => part.replace(/^/gm, mark))
}
/** The lines that a text has (+) and lacks (-) compared with another; empty if they are equal. */
const difference = (now: string, before: string): string =>
  now === before
    ? ''
    : [...beyond(parts(before), parts(now), '- '), ...beyond(parts(now), parts(before), '+ ')].join('\n')

test('test/api.txt lists the public names with their signatures', () => {
  const changed = difference(apiText(entries), readFileSync(apiFile, 'utf8'))
  if (changed !== '') assert.fail(`the public names have changed; if that is meant: npm run api\n${changed}`)
})

/** Names that a user meets without an explanation. */
const undocumented = ({ name, names }: Entry): readonly string[] =>
  names
    .filter(({ isType, doc, hasExample }) => !isType && (doc === '' || (name === 'partensor' && !hasExample)))
    .map(found => found.name)

test('every value of an entry has a doc comment, and those of partensor an example', () => {
  assert.deepEqual(
    entries.map(undocumented),
    entries.map(() => []),
  )
})

/** Types that the declaration of a value mentions, but that a user cannot name. */
const unnameable = ({ name, names }: Entry): readonly string[] => {
  const own = new Set(names.map(found => found.name))
  const isHidden = (mention: string): boolean => mention.startsWith('(') || (name === 'partensor' && !own.has(mention))
  return names
    .filter(({ isType }) => !isType)
    .flatMap(({ name: value, mentions }) => mentions.filter(isHidden).map(mention => `${value}: ${mention}`))
}

test('a user can name every type that a public value mentions', () => {
  assert.deepEqual(
    entries.map(unnameable),
    entries.map(() => []),
  )
})

const valuesOf = ({ names }: Entry): ReadonlySet<string> =>
  new Set(names.filter(({ isType }) => !isType).map(({ name }) => name.split('.')[0]!))

test(`partensor has at most ${most} values, and no value is in two entries`, () => {
  const [index, ...others] = entries.map(valuesOf) as [ReadonlySet<string>, ...ReadonlySet<string>[]]
  assert.ok(index.size <= most, `${index.size} values`)
  assert.ok(index.size > 90)
  const all = [index, ...others].flatMap(names => [...names])
  assert.deepEqual(
    all.filter((name, i) => all.indexOf(name) < i),
    [],
  )
})

const value: PublicName = {
  name: 'f',
  isType: false,
  signature: 'const f: (x: number) => T;',
  doc: 'The f of x.',
  hasExample: true,
  mentions: ['T'],
}
const type: PublicName = {
  ...value,
  name: 'T',
  isType: true,
  signature: 'type T = 1;',
  doc: '',
  hasExample: false,
  mentions: [],
}
const entry = (...names: readonly PublicName[]): Entry => ({ name: 'partensor', names })

test('the checks refute a changed signature, a lost name, a value without a doc or an example, and a hidden type', () => {
  const right = entry(value, type)
  assert.deepEqual(
    [undocumented(right), unnameable(right), difference(apiText([right]), apiText([right]))],
    [[], [], ''],
  )
  const changed = entry({ ...value, signature: 'const f: (x: string) => T;' }, type)
  assert.match(
    difference(apiText([changed]), apiText([right])),
    /^- {3}const f: \(x: number\)[\s\S]*^\+ {3}const f: \(x: string\)/m,
  )
  assert.match(difference(apiText([entry(type)]), apiText([right])), /^- f$/m)
  assert.deepEqual(undocumented(entry({ ...value, doc: '' }, type)), ['f'])
  assert.deepEqual(undocumented(entry({ ...value, hasExample: false }, type)), ['f'])
  assert.deepEqual(unnameable(entry(value)), ['f: T'])
  assert.deepEqual(unnameable({ name: 'partensor/compiler', names: [{ ...value, mentions: ['(T)'] }] }), ['f: (T)'])
})
