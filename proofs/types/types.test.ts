import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { f32, i32 } from '../../src/tensor/index.ts'
import { all, columns, focus, frozen, tensorsOf } from '../../src/tune/index.ts'
import { faults } from '../../test/support/type-fixtures.ts'
import { typeCheck } from '../../test/support/tsc.ts'
import * as laws from './generic.ts'

// The theorems themselves are proved by type-checking this folder. The tests here show that they can fail, and that
// their statements about types hold for values.

const folder = new URL('.', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, folder), 'utf8')
const fixtures = readdirSync(new URL('fixtures/', folder)).map(name => `fixtures/${name}`)

for (const name of fixtures) {
  test(`${name}: tsc refuses each marked line with its text, and nothing else`, async () => {
    const source = read(name)
    assert.deepEqual(faults(source, await typeCheck(source)), [])
  })
}

/** The theorems of a file: its tables and its proofs. */
const theoremsOf = (source: string): readonly string[] =>
  [...source.matchAll(/^export (?:type (\w+) = Theorem<|const (\w+) = <)/gm)]
    .flatMap(([, table, proof]) => table ?? proof ?? [])
    .filter(name => name !== 'Instances')
/**
 * The theorems that a file of mutants changes: `// Name: the change`, then the code with the error that it must give.
 */
const refutedIn = (source: string): readonly string[] =>
  source
    .split(/^\/\/ (?!error|instantiations)(?=\w+: )/m)
    .slice(1)
    .filter(mutant => mutant.includes('// error: '))
    .map(mutant => mutant.slice(0, mutant.indexOf(':')))

for (const [name, least] of [
  ['shape', 25],
  ['focus', 10],
  ['generic', 20],
] as const) {
  test(`${name}.ts: every theorem has a mutant that is refuted`, () => {
    const theorems = theoremsOf(read(`${name}.ts`))
    const refuted = refutedIn(read(`fixtures/${name}-mutants.ts.txt`))
    assert.ok(theorems.length >= least, `${theorems.length} theorems`)
    assert.deepEqual(
      theorems.filter(theorem => !refuted.includes(theorem)),
      [],
    )
    assert.deepEqual(
      refuted.filter(theorem => !theorems.includes(theorem)),
      [],
    )
  })
}

const a = f32('batch', 'hidden')
const b = f32('hidden', 'ffn')
const c = f32('ffn', 'classes')
const params = { w: b, layers: [1, 2].map(() => ({ up: f32('hidden', 'ffn'), norm: f32('hidden') })) }
const mask = {
  w: columns(8),
  layers: [
    { up: all, norm: frozen },
    { up: all, norm: frozen },
  ],
}
const shapes = (tree: unknown): unknown => tensorsOf(tree).map(([path, { shape, dtype }]) => [path, shape, dtype])

for (const [name, [left, right]] of Object.entries({
  matmulAssociates: laws.matmulAssociates(a, b, c),
  batchedMatmulAssociates: laws.batchedMatmulAssociates(f32(2, 'a', 'b'), f32(2, 'b', 'c'), f32(2, 'c', 'd')),
  transposeTwiceIsTheIdentity: laws.transposeTwiceIsTheIdentity(b),
  transposeReversesAProduct: laws.transposeReversesAProduct(a, b),
  addCommutes: laws.addCommutes(a, a),
  addAssociates: laws.addAssociates(a, a, a),
  matmulDistributes: laws.matmulDistributes(a, b, b),
  putKeepsTheShape: laws.putKeepsTheShape(b, i32(8), f32(8, 'ffn')),
  putAfterGetIsATree: laws.putAfterGetIsATree(params, mask),
  getAfterPutIsAFocus: laws.getAfterPutIsAFocus(params, mask, focus(params, mask)),
} satisfies Record<string, readonly [unknown, unknown]>)) {
  test(`${name}: both sides have the same structure and shapes when they run`, () => {
    assert.deepEqual(shapes(left), shapes(right))
    assert.ok(tensorsOf(left).length > 0)
  })
}
