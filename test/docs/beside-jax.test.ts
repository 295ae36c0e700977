import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as partensor from '../../src/index.ts'
import type { Numbers } from '../../src/compiler.ts'
import {
  besideNumbers,
  besidePage,
  besideRows,
  declarations,
  inputNumbers,
  inputs,
  isExpression,
} from '../support/beside.ts'
import { resultsOf, rowsOf, theirNames, type Result, type Row, type Written } from '../support/beside.ts'
import { devices } from '../support/devices.ts'
import { nodeTest, noNode } from '../support/native-library.ts'
import { runOn } from '../support/run-on.ts'
import { typeCheckAll } from '../support/tsc.ts'

// docs/beside-jax.md: its rows have all public names of JAX, Equinox and jax-js; what they say is here is public, has
// types, and gives the numbers of JAX on the targets; its counts are right.

const code = (cell: string): string => cell.replace(/^`|`$/g, '')
const runnable = besideRows.flatMap(row =>
  row.jax === undefined || row.here === undefined ? [] : [{ ...row, source: code(row.here) }],
)
const numbersOf = ({ section, names }: Row): readonly Written[] => besideNumbers[section]![names[0]!]!

/** The names after the heading *Left out*. */
const leftOut = (() => {
  const from = besidePage.lines.indexOf('### Left out')
  const to = besidePage.lines.findIndex((line, i) => i > from && line.startsWith('## '))
  const text = besidePage.lines.slice(from, to).join('\n')
  return [...text.matchAll(/`(\w+)`/g)].map(match => match[1]!)
})()

const ofJaxJs = 'jax-js'
const isOwn = (section: string): boolean => section in theirNames && !section.startsWith(ofJaxJs)
const namesOf = (section: string): readonly string[] =>
  besideRows.filter(row => row.section === section).flatMap(row => row.names)

for (const section of Object.keys(theirNames)
  .filter(isOwn)
  .filter(section => namesOf(section).length > 0))
  test(`the rows of ${section} have every public name of it once, or the page says why it is left out`, () => {
    const isLeftOut = (name: string): boolean => section === 'jax.numpy' && leftOut.includes(name)
    assert.deepEqual(namesOf(section).toSorted(), theirNames[section]!.filter(name => !isLeftOut(name)).toSorted())
  })

const camelCase = (name: string): string => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
/** The row about a name of jax-js: one of its own, or that of the name in JAX. */
const rowOfJaxJs = (section: string, name: string): Row | undefined =>
  besideRows.find(row => row.section === ofJaxJs && row.names.includes(name)) ??
  besideRows.find(row => row.section === section.replace(/^jax-js /, 'jax.') && row.names.map(camelCase).includes(name))
const jaxJs = Object.keys(theirNames)
  .filter(section => section.startsWith(ofJaxJs))
  .flatMap(section =>
    theirNames[section]!.filter(name => !leftOut.map(camelCase).includes(name)).map(name => ({
      name,
      row: rowOfJaxJs(section, name),
    })),
  )

test('every function of jax-js has a row', () => {
  assert.ok(jaxJs.length > 200)
  assert.deepEqual(
    jaxJs.filter(({ row }) => row === undefined).map(({ name }) => name),
    [],
  )
})

/** The counts of a section: its rows, and those of which something is here. */
const countsOf = (rows: readonly (Row | undefined)[]): readonly [all: number, here: number] => [
  rows.length,
  rows.filter(row => row?.here !== undefined).length,
]
const stated = (lines: readonly string[]): ReadonlyMap<string, readonly [number, number]> => {
  const from = lines.findIndex(line => line.startsWith('| names |'))
  const rows = lines.slice(from + 2, lines.indexOf('', from))
  return new Map(
    rows.map(line => {
      const [name = '', all, here] = line.slice(2, -2).split(' | ')
      return [code(name), [Number(all), Number(here)]]
    }),
  )
}
test('the page counts its rows right, and at least nine of ten are here', () => {
  const counts = stated(besidePage.lines)
  // a namespace is counted with those within it
  const within = (section: string): string => section.replace(/\.linalg$/, '')
  const sections = [...new Set(besideRows.map(row => within(row.section)))]
  assert.deepEqual([...counts.keys()].toSorted(), sections.toSorted())
  for (const [section, [all, here]] of counts) {
    const rows =
      section === ofJaxJs ? jaxJs.map(({ row }) => row) : besideRows.filter(row => within(row.section) === section)
    assert.deepEqual([all, here], countsOf(rows), section)
    assert.ok(here >= 0.9 * all, `${section}: ${here} of ${all}`)
  }
})

test('a row without something here gives a reason that the page explains', () => {
  const reasons = besidePage.lines.flatMap(line => /^- \*\*(\w+)\*\*: /.exec(line)?.[1] ?? [])
  const without = besideRows.filter(({ here }) => here === undefined)
  assert.ok(reasons.length > 3 && without.length > 10)
  for (const { names, note } of without) assert.ok(reasons.includes(note.split(/[:;]/)[0]!), `${names[0]}: ${note}`)
})

test('what a row names is public', () => {
  const isThere = (path: string): boolean =>
    path
      .split('.')
      .reduce<unknown>((of, key) => (of as Readonly<Record<string, unknown>> | undefined)?.[key], partensor) !==
    undefined
  const named = besideRows.filter(({ jax, here }) => jax === undefined && here !== undefined)
  assert.ok(named.length > 10)
  for (const { names, here } of named)
    for (const [, path] of here!.matchAll(/`([\w.]+)`/g)) assert.ok(isThere(path!), `${names[0]}: ${path}`)
  assert.ok(!isThere('nn.linearr') && !isThere('linear.x'))
})

test('the expressions have types', async () => {
  const imported = Object.keys(partensor).filter(name => /^\w+$/.test(name))
  const typed = [
    `import { ${imported.join(', ')} } from 'partensor'`,
    declarations,
    ...runnable.map(({ source }) => `void (${source})`),
    'add(x, v)',
  ].join('\n')
  const [diagnostics = []] = await typeCheckAll([typed])
  assert.deepEqual(
    diagnostics
      .map(({ line, text }) => `${typed.split('\n')[line - 1]}: ${text.slice(0, 200)}`)
      .filter((_, i) => i < diagnostics.length - 1),
    [],
  )
  assert.match(diagnostics.at(-1)?.text ?? '', /3 and 4/)
})

const feeds = new Map(
  Object.entries(inputNumbers).map(([name, [, sizes, data]]): [partensor.Node, Numbers] => [
    inputs[name]!,
    { sizes, data: Float64Array.from(data, Number) },
  ]),
)
const isSame = (found: number, due: number): boolean =>
  Object.is(found, due) || found === due || Math.abs(found - due) <= 1e-5 * Math.max(1, Math.abs(due))
type Run = (result: partensor.Node) => Promise<ArrayLike<number>>
/** The difference between a result and the one of JAX, if there is one. */
const difference = async (run: Run, result: Result, [dtype, sizes, data]: Written): Promise<string | undefined> => {
  const own = isExpression(result) ? result.shape : result.sizes
  if (result.dtype !== dtype || own.join() !== sizes.join()) return `${result.dtype} [${own.join()}]`
  const found = isExpression(result) ? await run(result) : result.data
  return data.every((due, at) => isSame(Number(found[at]), Number(due))) ? undefined : Array.from(found).join()
}
const differences = async (run: Run, source: string, due: readonly Written[]): Promise<readonly string[]> => {
  const results = resultsOf(source)
  if (results.length !== due.length) return [`${results.length} results`]
  const found: string[] = []
  // one after the other: the memory that each leaves is counted
  for (const [at, result] of results.entries()) {
    const text = await difference(run, result, due[at]!)
    if (text !== undefined) found.push(text)
  }
  return found
}

const tried = ['reference', 'tfjs cpu', 'tfjs wasm with one thread', ...(noNode === undefined ? ['tfjs node'] : [])]
for (const [title, open] of devices.filter(([title]) => tried.includes(title)))
  test(`the expressions give the numbers of JAX on ${title}`, async () => {
    const device = await open()
    const run: Run = async root => {
      const leaves = [...feeds.keys()]
      return runOn(device, { root, leaves, feeds, size: Number })
    }
    assert.ok(runnable.length > 280)
    for (const row of runnable)
      assert.deepEqual(await differences(run, row.source, numbersOf(row)), [], `${row.names[0]}: ${row.source}`)
    // mutants: other numbers, another type, another number of results
    for (const mutant of ['abs(y)', 'cast(abs(x), "i32")', '[abs(x), abs(x)]', 'abs(v)'])
      assert.notDeepEqual(await differences(run, mutant, besideNumbers['jax.numpy']!['abs']!), [], mutant)
    await device.dispose()
  })

const typedArrays = { f32: Float32Array, i32: Int32Array, bool: Uint8Array } as const
nodeTest('the expressions give the numbers of JAX in one program on graph', async () => {
  const cases = runnable.flatMap((row, number) =>
    resultsOf(row.source).flatMap((result, at) =>
      isExpression(result) ? [{ key: `${number}:${at}`, row, result, due: numbersOf(row)[at]![2] }] : [],
    ),
  )
  const outputs: Readonly<Record<string, partensor.Node>> = Object.fromEntries(
    cases.map(({ key, result }) => [key, result]),
  )
  const all = partensor.model({ params: {}, batch: inputs, forward: () => outputs })
  await using run = await partensor.compile(all, { target: 'graph', weights: {} })
  const values = Object.entries(inputNumbers).map(([name, [dtype, sizes, data]]) => [
    name,
    {
      shape: sizes,
      sizes,
      dtype,
      data: typedArrays[dtype].from(data.map(Number)),
    },
  ])
  const found: Readonly<Record<string, partensor.AnyValue>> = await run.predict(Object.fromEntries(values))
  assert.ok(cases.length > 280)
  for (const { key, row, due } of cases) {
    const own = Array.from(found[key]!.data as ArrayLike<number>)
    assert.ok(
      own.length === due.length && own.every((x, at) => isSame(x, Number(due[at]))),
      `${row.names[0]}: ${own.join()}`,
    )
  }
})

test('rows of a table are read with their expressions', () => {
  const page = [
    '## jax.nn',
    '',
    '| name | JAX | Partensor | note |',
    '|---|---|---|---|',
    '| `a`, `b` | `a(x)` | `f(x)` | n |',
    '| `c` | | — | bits |',
    '',
  ]
  assert.deepEqual(rowsOf(page), [
    { section: 'jax.nn', names: ['a', 'b'], jax: 'a(x)', here: '`f(x)`', note: 'n' },
    { section: 'jax.nn', names: ['c'], jax: undefined, here: undefined, note: 'bits' },
  ])
})
