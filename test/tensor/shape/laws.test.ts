import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import {
  bind,
  broadcast,
  concat,
  einsum,
  factors,
  matmul,
  product,
  reduce,
  reshape,
  sizesOf,
  take,
  transpose,
  unify,
  type Shape,
} from '../../../src/tensor/shape/index.ts'
import { exceeds, fallsShort } from '../../../src/tensor/shape/sum.ts'
import { addDigits, digitsAtMost, multiplyDigits } from '../../../src/tensor/shape/digits.ts'
import { axis, dim, environment, shapes } from '../../support/shapes.ts'

/** A law, and a wrong version of its subject that the same property must refute. */
const law = <A extends unknown[], F>(
  name: string,
  args: { readonly [K in keyof A]: fc.Arbitrary<A[K]> },
  subject: F,
  mutant: F,
  holds: (subject: F, ...args: A) => boolean,
): void => {
  const property = (of: F) => fc.property(fc.tuple<A>(...args), values => holds(of, ...values))
  test(name, () => {
    fc.assert(property(subject))
  })
  test(`${name}: a mutant is refuted`, () => {
    assert.equal(fc.check(property(mutant), { numRuns: 2000 }).failed, true)
  })
}

const equal = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)
const value = <A>(result: E.Either<string, A>): A | undefined => (E.isRight(result) ? result.right : undefined)
const count = (sizes: readonly number[] | undefined): number | undefined => sizes?.reduce((n, size) => n * size, 1)
const texts = fc.bigInt({ min: 1n, max: 10n ** 30n }).map(String)

law(
  'a product is the product of its factors',
  [shapes()],
  factors,
  d => factors(d).toReversed(),
  (of, shape) => equal(product(of(value(product(shape)) ?? 1)), product(shape)),
)
law(
  'the product is associative',
  [shapes(), shapes()],
  product,
  s => product(s.slice(0, 3)),
  (of, a, b) => equal(of([value(of(a)) ?? 1, value(of(b)) ?? 1]), of([...a, ...b])),
)
law(
  'a product has the size of its shape',
  [shapes(), environment],
  product,
  s => E.right(s[0] ?? 1),
  (of, shape, sizes) => value(bind(sizes)(value(of(shape)) ?? 1)) === count(value(sizesOf(sizes, shape))),
)

law(
  'broadcast is commutative, up to the text of an error',
  [shapes(), shapes()],
  broadcast,
  (a, b) => E.Functor.map(broadcast(a, b), () => a),
  (of, a, b) => equal(value(of(a, b)), value(of(b, a))),
)
law(
  'broadcast is idempotent, and a scalar is its unit',
  [shapes()],
  broadcast,
  (a, b) => E.right(b.length === 0 ? b : a),
  (of, a) => equal(of(a, a), E.right(a)) && equal(of(a, []), E.right(a)) && equal(of([], a), E.right(a)),
)

type Rule = (from: Shape, to: Shape) => E.Either<string, Shape>
const sameCount: Rule = (from, to) => (equal([...from].sort(), [...to].sort()) ? E.right(to) : reshape(from, to))
law(
  'a reshape can be undone, and keeps the number of elements',
  [shapes(), shapes(), environment],
  reshape,
  (_, to) => E.right(to),
  (of, from, to, sizes) =>
    E.isLeft(of(from, to)) ||
    (E.isRight(of(to, from)) && count(value(sizesOf(sizes, from))) === count(value(sizesOf(sizes, to)))),
)
const names = shapes(3, fc.constantFrom('a', 'b', 'c'))
law(
  'a reshape never moves a name past another',
  [names, names],
  reshape,
  sameCount,
  (of, from, to) => E.isRight(of(from, to)) === equal(from, to),
)

const shuffled = shapes().chain(shape =>
  fc.tuple(
    fc.constant(shape),
    fc.shuffledSubarray(
      shape.map((_, i) => i),
      { minLength: shape.length },
    ),
  ),
)
law(
  'a transpose is undone by the inverse permutation',
  [shuffled],
  transpose,
  (s, p) => transpose(s, p.toReversed()),
  (of, [shape, p]) =>
    equal(
      E.flatMap(of(shape, p), s =>
        of(
          s,
          p.map((_, i) => p.indexOf(i)),
        ),
      ),
      E.right(shape),
    ),
)
law(
  'matmul is an einsum',
  [dim, dim, dim],
  matmul,
  (a, b) => E.right([...a.slice(0, -1), b[0] ?? 1]),
  (of, i, j, k) =>
    equal(
      of([i, j], [j, k]),
      einsum('ij,jk->ik', [
        [i, j],
        [j, k],
      ]),
    ),
)
law(
  'a take along an axis changes only that axis',
  [shapes(), axis],
  take,
  (s, i) => E.right([...i, ...s.slice(1)]),
  (of, shape, at) => {
    const taken = of(shape, ['c'], at)
    return E.isLeft(taken)
      ? at >= shape.length || at < -shape.length
      : equal(of(taken.right, [shape.at(at) ?? 1], at), E.right(shape))
  },
)
law(
  'a reduction with keepDims reshapes to the one without',
  [shapes(), axis],
  reduce,
  (s, a) => reduce(s, a),
  (of, shape, at) => {
    const kept = of(shape, at, true)
    const dropped = reduce(shape, at)
    return E.isLeft(kept)
      ? E.isLeft(dropped)
      : kept.right.length === shape.length &&
          equal(
            E.flatMap(dropped, s => reshape(kept.right, s)),
            dropped,
          )
  },
)
law(
  'concat adds the numbers on its axis',
  [fc.array(fc.integer({ min: 1, max: 999 }), { minLength: 1 })],
  concat,
  s => E.right([s.length]),
  (of, parts) =>
    equal(
      of(
        parts.map(n => ['a', n]),
        -1,
      ),
      E.right(['a', parts.reduce((total, n) => total + n, 0)]),
    ),
)

const sizeOf = (sizes: Readonly<Record<string, number>>, of: readonly (string | number)[]): number =>
  (value(sizesOf(sizes, of)) ?? []).reduce((total, size) => total + size, 0)
law(
  'a sum that is said to be more than a dim is more, whatever the sizes',
  [shapes(3), dim, environment],
  exceeds,
  (parts, whole) => parts.length > 1 || exceeds(parts, whole),
  (of, parts, whole, sizes) => !of(parts, whole) || sizeOf(sizes, parts) > sizeOf(sizes, [whole]),
)
law(
  'a sum that is said to be less than a dim is less, whatever the sizes',
  [shapes(3), dim, environment],
  fallsShort,
  (parts, whole) => parts.length < 2 || fallsShort(parts, whole),
  (of, parts, whole, sizes) => !of(parts, whole) || sizeOf(sizes, parts) < sizeOf(sizes, [whole]),
)

law(
  'names bound from sizes give these sizes again',
  [shapes(), environment],
  unify,
  e => E.right(e),
  (of, shape, sizes) => {
    const actual = value(sizesOf(sizes, shape)) ?? []
    const bound = of({}, [...shape, 'a', 'b', 'c'], [...actual, sizes.a, sizes.b, sizes.c], { known: 'x', given: 'y' })
    return equal(
      E.flatMap(bound, found => sizesOf(found, shape)),
      E.right(actual),
    )
  },
)
const number = (text: string): bigint => BigInt(text)
law(
  'digits add as numbers',
  [texts, texts],
  addDigits,
  (a, b) => String(Number(a) + Number(b)),
  (of, a, b) => of(a, b) === String(number(a) + number(b)),
)
law(
  'digits multiply as numbers',
  [texts, texts],
  multiplyDigits,
  (a, b) => String(Number(a) * Number(b)),
  (of, a, b) => of(a, b) === String(number(a) * number(b)),
)
law(
  'digits compare as numbers',
  [texts, texts],
  digitsAtMost,
  (a, b) => a <= b,
  (of, a, b) => of(a, b) === number(a) <= number(b),
)
