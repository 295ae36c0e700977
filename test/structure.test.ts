import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { doors, rooms } from './support/pages.ts'

const longest = 400

/** Sources by their path from `src`, as `tensor/op/sum.ts`. */
type Sources = ReadonlyMap<string, string>
interface Import {
  readonly from: string
  readonly to: string
}

const statement =
  /^[ \t]*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|^[ \t]*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm
const isCompiledByTsc = (file: string): boolean => !file.startsWith('backend/tfjs/wasm/assembly/')

/** Every import of a file, types included: those of the project by their path from `src`, packages by name. */
const importsOf = (from: string, source: string): readonly Import[] =>
  [...source.matchAll(statement)].map(([, a, b, c]) => {
    const specifier = a ?? b ?? c ?? ''
    return { from, to: specifier.startsWith('.') ? path.posix.join(path.posix.dirname(from), specifier) : specifier }
  })

/** Tests for a file that other rooms may import. */
const isDoor = (file: string): boolean => doors.includes(file) || /^[^/]+\/index\.ts$/.test(file)
const roomOf = (file: string): string | undefined => (file.includes('/') ? file.slice(0, file.indexOf('/')) : undefined)
const isRelative = ({ to }: Import, sources: Sources): boolean =>
  sources.has(to) || to.endsWith('.ts') || to.startsWith('../')

/** The fault of one import, if there is one. */
const wrongImport = (found: Import, sources: Sources): string | undefined => {
  const { from, to } = found
  const room = roomOf(from)
  const other = roomOf(to)
  if (!isRelative(found, sources)) {
    return to.startsWith('@tensorflow/') && room !== 'backend'
      ? `${from} imports ${to}: only backend imports a runtime`
      : undefined
  }
  if (to.startsWith('../')) return `${from} imports ${to}, which lies outside of src`
  // the public entry re-exports the rooms
  if (room === undefined)
    return other === undefined || isDoor(to) ? undefined : `${from} imports ${to}, past the doors of ${other}`
  if (other === undefined) return `${from} imports ${to}, which is above all rooms`
  if (other === room) return undefined
  if (rooms.indexOf(other) >= rooms.indexOf(room)) return `${from} imports ${to}: ${room} stands before ${other}`
  return isDoor(to) ? undefined : `${from} imports ${to}, past the doors of ${other}`
}

/** Files that import each other in a circle, each circle once. */
const cycles = (imports: ReadonlyMap<string, readonly string[]>): readonly string[] => {
  const done = new Set<string>()
  const found: string[] = []
  const visit = (file: string, trail: readonly string[]): void => {
    const at = trail.indexOf(file)
    if (at >= 0) {
      found.push(`a cycle: ${[...trail.slice(at), file].join(' -> ')}`)
      return
    }
    if (done.has(file)) return
    for (const next of imports.get(file) ?? []) visit(next, [...trail, file])
    done.add(file)
  }
  for (const file of imports.keys()) visit(file, [])
  return found
}

const faults = (sources: Sources): readonly string[] => {
  const imports = [...sources]
    .filter(([file]) => isCompiledByTsc(file))
    .flatMap(([file, source]) => importsOf(file, source))
  const within = imports.filter(({ to }) => sources.has(to))
  const graph = new Map(
    [...sources.keys()].map(file => [file, within.filter(({ from }) => from === file).map(({ to }) => to)]),
  )
  return [
    ...[...sources.keys()]
      .filter(file => roomOf(file) !== undefined && !rooms.includes(roomOf(file)!))
      .map(file => `${file} is in no room`),
    ...imports.flatMap(found => wrongImport(found, sources) ?? []),
    ...imports
      .filter(found => isRelative(found, sources) && !found.to.startsWith('../') && !sources.has(found.to))
      .map(({ from, to }) => `${from} imports ${to}, which is not there`),
    ...cycles(graph),
    ...[...sources]
      .filter(([file, source]) => !file.includes('.generated.') && source.split('\n').length - 1 > longest)
      .map(([file]) => `${file} has more than ${longest} lines`),
  ]
}

const src = fileURLToPath(new URL('../src/', import.meta.url))
const sources: Sources = new Map(
  readdirSync(src, { recursive: true, encoding: 'utf8' })
    .map(file => file.split(path.sep).join('/'))
    .filter(file => file.endsWith('.ts'))
    .map(file => [file, readFileSync(path.join(src, file), 'utf8')]),
)

test('a room imports only rooms before it, through their doors; no file is in a cycle, none is too long, and only backend knows a runtime', () => {
  assert.ok(sources.size > 100)
  assert.deepEqual(faults(sources), [])
})
test('the rooms that docs/architecture.md lists are the folders of src, each with an index', () => {
  const folders = new Set([...sources.keys()].flatMap(file => roomOf(file) ?? []))
  assert.deepEqual([...rooms].sort(), [...folders].sort())
  assert.deepEqual(
    rooms.filter(room => room !== 'cli' && !sources.has(`${room}/index.ts`)),
    [],
  )
})
test('every import statement is read', () => {
  const source = [
    "import a, { type B } from './a.ts'",
    'import type {',
    '  C,',
    '} from "../tune/index.ts"',
    "export * from './d.ts'",
    "import './e.ts'",
    "const f = await import('@tensorflow/tfjs-core')",
    " * import g from './g.ts'",
    "export const text = 'from'",
  ].join('\n')
  assert.deepEqual(
    importsOf('tensor/op/x.ts', source).map(({ to }) => to),
    ['tensor/op/a.ts', 'tensor/tune/index.ts', 'tensor/op/d.ts', 'tensor/op/e.ts', '@tensorflow/tfjs-core'],
  )
})

/** The plan with one more file, or more text in one. */
const added = (file: string, source: string): Sources =>
  new Map(sources).set(file, `${sources.get(file) ?? ''}\n${source}\n`)
const known = new Set(faults(sources))
for (const [mutant, changed, fault] of [
  [
    'an import upwards',
    added('tensor/extra.ts', "import { all } from '../tune/index.ts'"),
    /^tensor\/extra\.ts imports tune\/index\.ts: tensor stands before tune$/,
  ],
  [
    'an import upwards of a type alone',
    added('model/extra.ts', "import type { Plan } from '../compile/index.ts'"),
    /: model stands before compile$/,
  ],
  [
    'an import past the doors',
    added('tune/extra.ts', "import { node } from '../tensor/node.ts'"),
    /^tune\/extra\.ts imports tensor\/node\.ts, past the doors of tensor$/,
  ],
  ['a room that imports the public entry', added('tune/extra.ts', "export * from '../index.ts'"), /above all rooms$/],
  ['an import from outside of src', added('tune/extra.ts', "import '../../test/arbitrary.ts'"), /outside of src$/],
  [
    'a runtime outside of backend',
    added('compile/extra.ts', "const tf = await import('@tensorflow/tfjs-core')"),
    /only backend imports a runtime$/,
  ],
  [
    'a cycle of two files',
    new Map([
      ...added('tensor/a.ts', "import type { B } from './b.ts'"),
      ['tensor/b.ts', "import type { A } from './a.ts'\n"],
    ]),
    /^a cycle: tensor\/a\.ts -> tensor\/b\.ts -> tensor\/a\.ts$/,
  ],
  [
    'a file that imports itself',
    added('tensor/value.ts', "export * from './value.ts'"),
    /^a cycle: tensor\/value\.ts -> tensor\/value\.ts$/,
  ],
  ['an import of what is not there', added('tensor/extra.ts', "import './nowhere.ts'"), /which is not there$/],
  ['a room that the architecture does not list', added('helpers/index.ts', ''), /^helpers\/index\.ts is in no room$/],
  ['a long file', added('tensor/extra.ts', '\n'.repeat(longest)), /^tensor\/extra\.ts has more than 400 lines$/],
] as const) {
  test(`the test refutes ${mutant}`, () => {
    const more = faults(changed).filter(found => !known.has(found))
    assert.equal(more.length, 1, more.join('\n'))
    assert.match(more[0]!, fault)
  })
}
