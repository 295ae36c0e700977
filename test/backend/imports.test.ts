import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

// A browser can load `compile`: the imports at the top of its file, and theirs in turn, include no Node module and no
// runtime. Targets load those when they open.

/** Sources by their path from `src`. */
type Sources = ReadonlyMap<string, string>

const src = fileURLToPath(new URL('../../src/', import.meta.url))
const sources: Sources = new Map(
  readdirSync(src, { recursive: true, encoding: 'utf8' })
    .map(file => file.split(path.sep).join('/'))
    .filter(file => file.endsWith('.ts'))
    .map(file => [file, readFileSync(path.join(src, file), 'utf8')]),
)

const comment = /\/\*[^]*?\*\/|(?<=^|\s)\/\/.*/gm
/** Imports and exports that run when a file is loaded: those of types alone are gone by then. */
const statement = /^(?:import|export)\s+(?!type\b)(?:[^'";=()]*?\sfrom\s*)?['"]([^'"]+)['"]/gm

const importsOf = (from: string, source: string): readonly string[] =>
  [...source.replace(comment, '').matchAll(statement)].map(([, to = '']) =>
    to.startsWith('.') ? path.posix.join(path.posix.dirname(from), to) : to,
  )

/** The chain of imports by which an entry loads each file and package, by its name. */
const loadedBy = (entry: string, all: Sources): ReadonlyMap<string, readonly string[]> => {
  const chains = new Map<string, readonly string[]>([[entry, [entry]]])
  for (const [file, chain] of chains)
    for (const to of importsOf(file, all.get(file) ?? '')) if (!chains.has(to)) chains.set(to, [...chain, to])
  return chains
}

const isNodes = (name: string): boolean => name.startsWith('node:') || builtinModules.includes(name)
const isRuntime = (name: string): boolean => name.startsWith('@tensorflow/')

const faults = (all: Sources): readonly string[] =>
  [...loadedBy('backend/compile.ts', all)]
    .filter(([name]) => isNodes(name) || isRuntime(name))
    .map(([, chain]) => chain.join(' -> '))

test('what compile loads at its top is found', () => {
  const loaded = [...loadedBy('backend/compile.ts', sources).keys()]
  for (const name of [
    'tensor/node.ts',
    'compile/plan.ts',
    'tune/mask.ts',
    'backend/device-engine.ts',
    'fp-ts/lib/Either.js',
  ])
    assert.ok(loaded.includes(name), name)
  assert.ok(loaded.every(name => sources.has(name) || !name.endsWith('.ts')))
})

test('compile loads no module of Node and no runtime at its top', () => {
  assert.deepEqual(faults(sources), [])
})

const pure = ['tensor', 'text', 'tune', 'model', 'compile']
test(`${pure.join(', ')} import no module of Node`, () => {
  const files = [...sources].filter(([file]) => pure.includes(file.split('/')[0]!))
  assert.ok(files.length > 100)
  assert.deepEqual(
    files.flatMap(([file, source]) =>
      importsOf(file, source)
        .filter(isNodes)
        .map(name => `${file} imports ${name}`),
    ),
    [],
  )
})

/** The sources with one more line at the top of a file. */
const added = (file: string, line: string): Sources => new Map(sources).set(file, `${line}\n${sources.get(file) ?? ''}`)

for (const [mutant, changed, found] of [
  [
    'a built-in in the entry',
    added('backend/compile.ts', "import { availableParallelism } from 'node:os'"),
    ['backend/compile.ts -> node:os'],
  ],
  [
    'a built-in without its prefix, deep below',
    added('tensor/numbering.ts', "import * as os from 'os'"),
    [/^backend\/compile\.ts -> .*tensor\/numbering\.ts -> os$/],
  ],
  [
    'a target that loads its runtime at its top',
    added('backend/graph/target.ts', "import { graphEngine } from './engine.ts'"),
    undefined,
  ],
  [
    'a re-export of several lines',
    added('backend/turn.ts', "export {\n  setTimeout,\n} from 'node:timers/promises'"),
    [/-> backend\/turn\.ts -> node:timers\/promises$/],
  ],
  ['an import for its effect', added('backend/queue.ts', "import 'node:process'"), [/-> node:process$/]],
] as const) {
  test(`the test refutes ${mutant}`, () => {
    const now = faults(changed)
    if (found === undefined)
      assert.ok(now.some(chain => chain.includes('node:')) && now.some(chain => chain.includes('@tensorflow/')))
    else {
      assert.equal(now.length, found.length, now.join('\n'))
      found.forEach((expected, i) =>
        typeof expected === 'string' ? assert.equal(now[i], expected) : assert.match(now[i]!, expected),
      )
    }
  })
}

test('types, dynamic imports and comments load nothing', () => {
  const nothing = [
    "import type { Native } from 'node:os'",
    "const later = () => import('node:fs')",
    "// import 'node:fs'",
    "/** import { a } from 'node:fs' */",
    "export type { A } from 'node:path'",
  ].join('\n')
  assert.deepEqual(faults(added('backend/compile.ts', nothing)), [])
})
