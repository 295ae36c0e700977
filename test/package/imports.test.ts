import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { nativeModules as absentModules } from '../../src/backend/native/absent.ts'
import { nativeModules } from '../../src/backend/native/modules.ts'
import { backendFiles as filesInBrowser } from '../../src/backend/tfjs/wasm/browser-files.ts'
import { pageNamed, root } from '../support/pages.ts'

// What each entry loads: the imports at the top of its file, and theirs in turn. `partensor` includes no module of Node
// and no package: targets load those when they open.

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
/** The package of a module: `@scope/name` or `name`. */
const packageOf = (module: string): string => /^(?:@[^/]+\/)?[^/]+/.exec(module)![0]

/** The rooms and packages that each entry loads, as docs/architecture.md says it. */
const promised: ReadonlyMap<string, readonly string[]> = new Map(
  pageNamed('docs/architecture.md').lines.flatMap(line => {
    const [, name, loads] = /^\| `partensor(?:\/(\w+))?`\s*\| (.*?)\s*\|$/.exec(line) ?? []
    return loads === undefined ? [] : [[`${name ?? 'index'}.ts`, loads.split(/[,;] /)]]
  }),
)

/** The modules that an entry loads and should not, each with its chain of imports; and those that it should and does not. */
const faults = (all: Sources): readonly string[] =>
  [...promised].flatMap(([entry, loads]) => {
    const found = [...loadedBy(entry, all)].filter(([name]) => name !== entry)
    const nameOf = (module: string): string =>
      all.has(module) ? module.split('/')[0]! : isNodes(module) ? 'Node' : packageOf(module)
    const allowed = new Set([...loads, ...(loads.includes('host') ? ['Node'] : [])])
    const loaded = new Set(found.map(([name]) => nameOf(name)))
    return [
      ...found.filter(([name]) => !allowed.has(nameOf(name))).map(([, chain]) => chain.join(' -> ')),
      ...loads.filter(name => !loaded.has(name)).map(name => `${entry} does not load ${name}`),
    ]
  })

test('the entries of package.json are the files of src, and docs/architecture.md says what each loads', () => {
  const { exports: entries }: { readonly exports: Readonly<Record<string, { readonly default: string }>> } = JSON.parse(
    readFileSync(path.join(root, 'package.json'), 'utf8'),
  )
  const files = [...sources.keys()].filter(file => !file.includes('/')).sort()
  assert.deepEqual([...promised.keys()].sort(), files)
  assert.deepEqual(
    Object.values(entries)
      .map(({ default: built }) => built)
      .sort(),
    files.map(file => `./dist/${file.replace(/ts$/, 'js')}`),
  )
  for (const [name, { default: built }] of Object.entries(entries))
    assert.equal(built, `./dist/${name === '.' ? 'index' : name.slice(2)}.js`)
})

test('an entry loads the rooms and packages that docs/architecture.md says, and Node only if it needs the machine', () => {
  assert.ok(loadedBy('index.ts', sources).size > 150)
  assert.deepEqual(faults(sources), [])
})

const pure = ['either', 'tensor', 'text', 'tune', 'model', 'compile']
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

test('in a bundle for browsers a file that needs Node is replaced by one that has the same names', async () => {
  const { browser }: { readonly browser: Readonly<Record<string, string>> } = JSON.parse(
    readFileSync(path.join(root, 'package.json'), 'utf8'),
  )
  const inSrc = (built: string): string => built.replace(/^\.\/dist\/(.*)js$/, '$1ts')
  for (const pair of Object.entries(browser).map(names => names.map(inSrc))) {
    const [names, others] = await Promise.all(
      pair.map(async file => Object.keys((await import(`../../src/${file}`)) as object).sort()),
    )
    assert.ok(names!.length > 0)
    assert.deepEqual(others, names)
    assert.deepEqual([...loadedBy(pair[1]!, sources).keys()].filter(isNodes), [])
  }
  for (const load of Object.values(absentModules))
    await assert.rejects(load(), /^SessionError: this target needs TensorFlow, which no browser has/)
  assert.deepEqual(Object.keys(absentModules), Object.keys(nativeModules))
  await assert.rejects(filesInBrowser(), /^SessionError: wasm in a browser needs wasmFiles/)
})

/** The sources with one more line at the top of a file. */
const added = (file: string, line: string): Sources => new Map(sources).set(file, `${line}\n${sources.get(file) ?? ''}`)

for (const [mutant, changed, found] of [
  [
    'a built-in in the entry',
    added('backend/compile.ts', "import { availableParallelism } from 'node:os'"),
    [/^index\.ts -> backend\/index\.ts -> backend\/compile\.ts -> node:os$/],
  ],
  [
    'a built-in without its prefix, deep below',
    added('tensor/numbering.ts', "import * as os from 'os'"),
    [/^index\.ts -> .*tensor\/numbering\.ts -> os$/],
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
  [
    'a package that not every user needs',
    added('tune/index.ts', "export { targetMatcher } from './modules/modules.ts'"),
    [/^index\.ts -> .*tune\/modules\/modules\.ts -> .* -> re2js$/],
  ],
  ['a room that is not for everybody', added('train/step.ts', "import { micro } from '../model/index.ts'"), undefined],
  ['an import for its effect', added('backend/queue.ts', "import 'node:process'"), [/-> node:process$/]],
] as const) {
  test(`the test refutes ${mutant}`, () => {
    const now = faults(changed).filter(chain => chain.startsWith('index.ts -> '))
    if (found === undefined) assert.ok(now.length > 1)
    else {
      assert.equal(now.length, found.length, now.join('\n'))
      found.forEach((expected, i) => assert.match(now[i]!, expected))
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
