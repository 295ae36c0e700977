import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { side, split, turned } from '../../bench/digits/data.ts'
import { bestOf, digitsTable, spread, type DigitsResults } from '../../bench/digits/results.ts'
import { methodNames, modelNames } from '../../bench/digits/settings.ts'
import { root } from '../support/pages.ts'

const sizes = fc.tuple(fc.nat(20), fc.nat(20), fc.nat(20)).map(([a, b, c]) => ({ a, b, c }))
type Parts = Readonly<Record<'a' | 'b' | 'c', readonly number[]>>
const apart = (cut: (n: number, parts: Readonly<Record<'a' | 'b' | 'c', number>>, seed: number) => Parts) =>
  fc.property(sizes, fc.nat(10), fc.nat(), (parts, rest, seed) => {
    const n = parts.a + parts.b + parts.c + rest
    const { a, b, c } = cut(n, parts, seed)
    assert.deepEqual([a.length, b.length, c.length], [parts.a, parts.b, parts.c])
    const all = [...a, ...b, ...c]
    assert.ok(all.every(i => i >= 0 && i < n))
    assert.equal(new Set(all).size, all.length)
  })

test('parts of a split have their sizes and share no index, and the split refuses what they cannot have', () => {
  fc.assert(apart(split))
  assert.throws(() => split(9, { a: 5, b: 5 }, 0), /^RangeError: the parts need 10 of 9$/)
})
test('parts that are drawn one by one share indices (mutant)', () => {
  const drawn = (n: number, { a, b, c }: Readonly<Record<'a' | 'b' | 'c', number>>, seed: number): Parts => {
    const of = (size: number, k: number) => split(n, { one: size }, seed + k).one
    return { a: of(a, 0), b: of(b, 1), c: of(c, 2) }
  }
  assert.throws(() => fc.assert(apart(drawn)), /Property failed/)
})

test('a picture turned to the right has its first row as its last column, and four turns make it itself', () => {
  const picture = Uint8Array.from({ length: side ** 2 }, (_, i) => (7 * i) % 256)
  const once = turned(picture, 1)
  for (let k = 0; k < side; k++) assert.equal(once[k * side + side - 1], picture[k])
  assert.deepEqual(turned(picture, 4), picture)
  assert.notDeepEqual(turned(picture, 2), picture)
})

test('of scores that are equally accurate the one with the lower loss is the better', () => {
  const [a, b, c] = [
    { accuracy: 0.9, loss: 0.4 },
    { accuracy: 0.9, loss: 0.3 },
    { accuracy: 0.8, loss: 0.1 },
  ]
  assert.deepEqual([bestOf([a!, b!, c!]), bestOf([b!, a!])], [b, b])
  assert.equal(bestOf([]), undefined)
})

test('the deviation is that of a sample', () => {
  assert.deepEqual(spread([1, 2, 6]), { mean: 3, deviation: Math.sqrt(7) })
  assert.deepEqual(spread([5]), { mean: 5, deviation: 0 })
})

/** The page with the table, and the results that it is made of. */
const page = readFileSync(join(root, 'docs/images.md'), 'utf8')
const [file = ''] = /bench\/results\/[\w-]*digits\.json/.exec(page) ?? []
const recorded = JSON.parse(readFileSync(join(root, file), 'utf8')) as DigitsResults

test('the page shows the table of the recorded results, and other results make another one (mutant)', () => {
  assert.ok(page.includes(digitsTable(recorded)))
  const [first, ...rest] = recorded.runs
  const better = { ...recorded, runs: [{ ...first!, accuracy: first!.accuracy - 0.1 }, ...rest] }
  assert.ok(!page.includes(digitsTable(better)))
})

test('every method of the table has three seeds, and the rate that was the best on other digits and another seed', () => {
  for (const model of modelNames)
    for (const method of methodNames) {
      const own = <T extends { readonly model: string; readonly method: string }>(all: readonly T[]) =>
        all.filter(one => one.model === model && one.method === method)
      assert.deepEqual(new Set(own(recorded.runs).map(({ seed }) => seed)), new Set([0, 1, 2]))
      const best = bestOf(own(recorded.tried))?.rate
      assert.ok(best !== undefined && own(recorded.runs).every(({ rate }) => rate === best), `${model} ${method}`)
    }
})
