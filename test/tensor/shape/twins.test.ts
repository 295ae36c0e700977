import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import {
  broadcast,
  broadcastTo,
  concat,
  convolved,
  diag,
  diagonal,
  dot,
  dynamicSlice,
  dynamicUpdate,
  einsum,
  expandDims,
  matmul,
  pad,
  product,
  put,
  reduce,
  repeatAlong,
  reshape,
  slice,
  split,
  squeeze,
  stack,
  stride,
  take,
  takeAlong,
  topK,
  tile,
  trace,
  transpose,
  triangle,
  windowsOf,
  type Dim,
  type Shape,
  type WindowPadding,
  type WindowSteps,
} from '../../../src/tensor/shape/index.ts'
import { addDigits, digitsAtMost, divideDigits, multiplyDigits } from '../../../src/tensor/shape/digits.ts'
import { exceeds, fallsShort } from '../../../src/tensor/shape/sum.ts'
import { typeCheck } from '../../support/tsc.ts'
import { axis, dim, shapes } from '../../support/shapes.ts'

/** The same call as a type, and the result of its value twin. */
interface Twin {
  readonly type: string
  readonly value: E.Either<string, unknown>
}

const written = (value: unknown): string =>
  value === undefined
    ? 'undefined'
    : Array.isArray(value)
      ? `readonly [${value.map(written).join(', ')}]`
      : JSON.stringify(value)
const twin = <A extends unknown[]>(
  name: string,
  args: fc.Arbitrary<A>,
  value: (...args: A) => E.Either<string, unknown>,
): fc.Arbitrary<Twin> => args.map(of => ({ type: `${name}<${of.map(written).join(', ')}>`, value: value(...of) }))

const small = shapes(3)
const axes = fc.array(axis, { maxLength: 3 })
const axisOrName = fc.oneof(axis, fc.constantFrom('a', 'b', 'a*b', 'z'))
const place = (shape: Shape, axis: number | string): number =>
  typeof axis === 'string' ? shape.indexOf(axis) : (axis + shape.length) % Math.max(shape.length, 1)
const whole = fc.bigInt({ min: 1n, max: 10n ** 12n }).map(String)
const wrong = fc.constantFrom<Dim>('2*3', '1*a', 'a**b', '', 'x y', '7', 0, -1, 2.5, '0*a')
const loose: fc.Arbitrary<Dim> = fc.oneof({ weight: 8, arbitrary: dim }, { weight: 1, arbitrary: wrong })
const looseShapes = shapes(3, loose)
const letters = fc.stringMatching(/^[ijk]{0,3}$/)
const operands = fc.array(shapes(2, fc.constantFrom<Dim>('a', 2)), { minLength: 1, maxLength: 2 })
const permuted = small.chain(shape =>
  fc.tuple(
    fc.constant(shape),
    fc.shuffledSubarray(
      shape.map((_, i) => i),
      { minLength: shape.length },
    ),
  ),
)
const starts = shapes(2, fc.oneof({ weight: 8, arbitrary: dim }, { weight: 1, arbitrary: wrong }))
const squares = fc.oneof(
  small,
  shapes(1).chain(lead => dim.map((n): Shape => [...lead, n, n])),
)
const alike = fc.oneof(
  fc.array(small, { maxLength: 3 }),
  fc.tuple(small, fc.integer({ min: 1, max: 3 })).map(([shape, n]): Shape[] => Array.from({ length: n }, () => shape)),
)
const pairs = fc.oneof(
  fc.tuple(small, small),
  small.map((shape): [Shape, Shape] => [shape, shape]),
)
// half of them meet, so that no seed leaves a rule without a result
const batched = fc
  .tuple(shapes(1), shapes(1), dim, dim, dim, dim, fc.boolean())
  .map(([l, m, r, i, j, o, meet]): [Shape, Shape] => [
    [...l, r, i],
    [...(meet ? l : m), meet ? i : j, o],
  ])
const name = fc.option(fc.oneof(dim, fc.integer({ min: 2, max: 12 })), { nil: undefined })
const steps: fc.Arbitrary<WindowSteps> = fc.record({
  stride: fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 1, max: 3 }) }, { weight: 1, arbitrary: fc.constant(0) }),
  dilation: fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 1, max: 3 }) },
    { weight: 1, arbitrary: fc.constant(-1) },
  ),
  padding: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom<WindowPadding>('same', 'valid', 0, 1, 2, [0, 2], [1, 0]) },
    { weight: 1, arbitrary: fc.constantFrom<WindowPadding>(-1, 0.5, [0, -2]) },
  ),
})
const sides = fc.oneof(dim, fc.integer({ min: 1, max: 240 }))
const kernels = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 7 }) },
  { weight: 1, arbitrary: fc.constant<Dim>('k') },
)
const groups = fc.option(fc.constantFrom<Dim>('a', 2, 3), { nil: undefined })
/** Mostly so many dims. */
const exactly = (n: number, of: fc.Arbitrary<Dim>): fc.Arbitrary<Shape> =>
  fc.oneof(
    { weight: 12, arbitrary: fc.array(of, { minLength: n, maxLength: n }) },
    { weight: 1, arbitrary: shapes(3, of) },
  )
/** Images and a weight, or sequences and one: mostly of the same channels. */
const convolutions = (n: number, out: number) =>
  fc
    .tuple(shapes(1), exactly(n, sides), exactly(n, kernels), dim, dim, exactly(out, dim), fc.boolean())
    .map(([lead, image, kernel, c, d, to, meet]): [Shape, Shape] => [
      [...lead, ...image, c],
      [...kernel, meet ? c : d, ...to],
    ])
const joined = fc
  .tuple(small, dim, axis, name)
  .map(([shape, other, at, as]): [Shape[], number, Dim | undefined] => [
    [shape, shape.map((d, i) => (i === (at + shape.length) % Math.max(shape.length, 1) ? other : d))],
    at,
    as,
  ])

const flatter = <A extends unknown[]>([[s, w], ...rest]: readonly [[Shape, Shape], ...A]): [Shape, Shape, ...A] => [
  s,
  w,
  ...rest,
]
const twins: readonly fc.Arbitrary<Twin>[] = [
  twin('S.Product', fc.tuple(small), product),
  twin('S.Broadcast', fc.tuple(small, small), broadcast),
  twin('S.Broadcast', fc.tuple(looseShapes, looseShapes), broadcast),
  twin('S.BroadcastTo', fc.tuple(small, small), broadcastTo),
  twin('S.MatMul', fc.tuple(small, small), matmul),
  twin('S.MatMul', batched, matmul),
  twin('S.Reshape', fc.tuple(small, small), reshape),
  twin('S.Reshape', fc.tuple(looseShapes, looseShapes), reshape),
  twin('S.Transpose', fc.tuple(small, axes), transpose),
  twin('S.Transpose', permuted, transpose),
  twin(
    'S.Einsum',
    fc.tuple(
      fc.tuple(letters, letters, letters).map(([a, b, c]) => `${a},${b}->${c}`),
      fc.tuple(small, small),
    ),
    einsum,
  ),
  twin('S.Einsum', fc.tuple(fc.constantFrom('ij,jk->ik', 'ij,j->ij', 'i->'), operands), einsum),
  twin('S.Concat', joined, concat),
  twin(
    'S.Concat',
    fc.tuple(fc.array(looseShapes, { maxLength: 3 }), axis, fc.option(loose, { nil: undefined })),
    concat,
  ),
  twin(
    'S.Slice',
    fc.tuple(small, axis, loose, shapes(2, fc.oneof({ weight: 8, arbitrary: dim }, { weight: 1, arbitrary: wrong }))),
    slice,
  ),
  twin('S.Take', fc.tuple(small, shapes(2), axis), take),
  twin(
    'S.Put',
    fc
      .tuple(small, shapes(1), axis)
      .chain(([s, i, a]) =>
        fc.tuple(
          fc.constant(s),
          fc.constant(i),
          fc.oneof(small, fc.constant(s.flatMap((d, at) => (at === (a + s.length) % Math.max(s.length, 1) ? i : [d])))),
          fc.constant(a),
        ),
      ),
    put,
  ),
  twin(
    'S.TakeAlong',
    fc
      .tuple(small, shapes(3), axisOrName, dim)
      .chain(([s, i, a, d]) =>
        fc.tuple(
          fc.constant(s),
          fc.oneof(fc.constant(i), fc.constant(s.map((e, at) => (at === place(s, a) ? d : e)))),
          fc.constant(a),
        ),
      ),
    takeAlong,
  ),
  twin('S.TopK', fc.tuple(small, loose), topK),
  twin('S.Reduce', fc.tuple(small, fc.oneof(axisOrName, fc.array(axisOrName, { maxLength: 3 })), fc.boolean()), reduce),
  twin('S.ExpandDims', fc.tuple(small, axis), expandDims),
  twin('S.Squeeze', fc.tuple(small, fc.option(axis, { nil: undefined })), squeeze),
  twin('S.Stack', fc.tuple(alike, axis, name), stack),
  twin('S.Split', fc.tuple(small, axis, fc.oneof(fc.integer({ min: -1, max: 3 }), starts)), split),
  twin('S.Tile', fc.tuple(small, axis, loose), tile),
  twin('S.RepeatAlong', fc.tuple(small, axis, loose), repeatAlong),
  twin('S.Pad', fc.tuple(small, axis, loose, starts), pad),
  twin('S.Stride', fc.tuple(small, axis, loose, fc.integer({ min: 0, max: 3 }), starts), stride),
  twin('S.WindowsOf', fc.tuple(fc.oneof(small, shapes(2, sides)), axis, loose, steps, name), windowsOf),
  twin(
    'S.Conv2d',
    fc.tuple(convolutions(2, 1), steps, steps, groups, name, name).map(flatter),
    (s, w, g, h, of, a, b) =>
      convolved(s, w, { op: 'conv2d', steps: [g, h], depthwise: false, groups: of, as: [a, b] }),
  ),
  twin('S.DepthwiseConv2d', fc.tuple(convolutions(2, 0), steps, steps, name, name).map(flatter), (s, w, g, h, a, b) =>
    convolved(s, w, { op: 'depthwiseConv2d', steps: [g, h], depthwise: true, groups: undefined, as: [a, b] }),
  ),
  twin('S.Conv1d', fc.tuple(convolutions(1, 1), steps, groups, name).map(flatter), (s, w, g, of, as) =>
    convolved(s, w, { op: 'conv1d', steps: [g], depthwise: false, groups: of, as: [as] }),
  ),
  twin('S.Triangle', fc.tuple(fc.constant('tril'), small), triangle),
  twin('S.Diagonal', fc.tuple(fc.constant('diagonal'), squares), diagonal),
  twin('S.MatrixTrace', fc.tuple(squares), trace),
  twin('S.Diag', fc.tuple(small), diag),
  twin('S.Dot', fc.tuple(shapes(2), shapes(2)), dot),
  twin(
    'S.Dot',
    dim.map((n): [Shape, Shape] => [[n], [n]]),
    dot,
  ),
  twin('S.DynamicSlice', pairs, dynamicSlice),
  twin('S.DynamicUpdate', pairs, dynamicUpdate),
  twin('M.Exceeds', fc.tuple(small, dim), (parts, whole) => E.right(exceeds(parts, whole))),
  twin('M.FallsShort', fc.tuple(small, dim), (parts, whole) => E.right(fallsShort(parts, whole))),
  twin('D.AddDigits', fc.tuple(whole, whole), (a, b) => E.right(addDigits(a, b))),
  twin('D.MultiplyDigits', fc.tuple(whole, whole), (a, b) => E.right(multiplyDigits(a, b))),
  twin('D.DivideDigits', fc.tuple(whole, fc.integer({ min: 1, max: 40 })), (a, n) => E.right(divideDigits(a, n))),
  twin(
    'D.DivideDigits',
    fc
      .tuple(whole, fc.integer({ min: 1, max: 40 }))
      .map(([a, n]): [string, number] => [multiplyDigits(a, String(n)), n]),
    (a, n) => E.right(divideDigits(a, n)),
  ),
  twin('D.DigitsAtMost', fc.tuple(whole, whole), (a, b) => E.right(digitsAtMost(a, b))),
]

const imports = `import type * as S from 'src/tensor/shape/index.ts'
import type * as D from 'src/tensor/shape/digits.ts'
import type * as M from 'src/tensor/shape/sum.ts'
import type { Equal } from 'test/support/expect-type.ts'
`
const outcome = ({ value }: Twin): string =>
  E.isLeft(value) ? `S.ShapeError<${written(value.left)}>` : written(value.right)
const line = (of: Twin, expected: string, i: number): string =>
  `export const _${i}: Equal<${of.type}, ${expected}> = true`
/** The lines that `tsc` refuses. */
const refused = async (lines: readonly string[]): Promise<readonly (string | undefined)[]> => {
  const { diagnostics } = await typeCheck(imports + lines.join('\n'))
  return diagnostics.map(found => lines[found.line - imports.split('\n').length])
}

const perRule = 40
const seed = Number(process.env['SEED'] ?? Date.now())
const drawn = (numRuns: number, from: number): readonly Twin[] =>
  twins.flatMap((arbitrary, i) => fc.sample(arbitrary, { numRuns, seed: from + i }))
const sample = drawn(perRule, seed)

test(`each rule's type and value agree on random arguments, text for text (seed ${seed})`, async () => {
  assert.deepEqual(await refused(sample.map((of, i) => line(of, outcome(of), i))), [])
})

test('a rule whose value says anything else is refuted', async () => {
  const errors = sample.filter(of => E.isLeft(of.value)).slice(0, 100)
  const mutants = errors.map((of, i) => line(of, outcome(of).replace('"', '"x'), i))
  assert.deepEqual(await refused(mutants), mutants)
})

test('the generators give results and errors of every rule of shapes', () => {
  // a law of the generators, so of one large sample of a fixed seed
  const many = drawn(10 * perRule, 0)
  for (const rule of [
    'Broadcast',
    'BroadcastTo',
    'MatMul',
    'Reshape',
    'Transpose',
    'Einsum',
    'Concat',
    'Slice',
    'Take',
    'Put',
    'TakeAlong',
    'TopK',
    'Reduce',
    'ExpandDims',
    'Squeeze',
    'Stack',
    'Split',
    'Tile',
    'RepeatAlong',
    'Pad',
    'Stride',
    'Triangle',
    'Diagonal',
    'MatrixTrace',
    'Diag',
    'Dot',
    'DynamicSlice',
    'DynamicUpdate',
    'WindowsOf',
    'Conv2d',
    'DepthwiseConv2d',
    'Conv1d',
  ]) {
    const of = many.filter(({ type }) => type.startsWith(`S.${rule}<`))
    assert.ok(
      of.some(({ value }) => E.isRight(value)),
      `${rule} has no result`,
    )
    assert.ok(
      of.some(({ value }) => E.isLeft(value)),
      `${rule} has no error`,
    )
  }
})
