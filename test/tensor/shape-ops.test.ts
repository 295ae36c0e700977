import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  causalMask,
  dynamicSlice,
  dynamicUpdate,
  expandDims,
  eye,
  f32,
  fill,
  flip,
  i32,
  integer,
  linspace,
  linalg,
  matmul,
  ones,
  onesLike,
  pad,
  roll,
  split,
  squeeze,
  stack,
  stride,
  tile,
  tril,
  zeros,
  zerosLike,
  type Dim,
  type Node,
} from '../../src/index.ts'
import { lastOf } from '../../src/tensor/op/position.ts'
import { interpret, placeholder, type Numbers } from '../../src/compiler.ts'
import { differentiate, near } from '../support/calculus.ts'
import { sizeIn } from '../support/op-subjects.ts'
import { cosines, goldenShapeOps } from '../support/shape-ops.ts'

const sizes: Readonly<Record<string, number>> = { n: 3, m: 2, both: 5, wide: 7 }
const valueOf = (root: Node, ...feeds: readonly (readonly [Node, Numbers])[]): readonly number[] => [
  ...interpret([root], new Map(feeds), sizeIn(sizes))[0]!.data,
]
const of = (given: readonly number[], ...data: readonly number[]): Numbers => ({
  sizes: given,
  data: Float64Array.from(data),
})
/** A function of the language for arguments that `tsc` refuses. */
const untyped = (f: unknown) => f as (...args: readonly unknown[]) => Node

for (const { name, leaves, root, inputs, result, gradients } of goldenShapeOps()) {
  test(`${name}: the value and the gradients are those of PyTorch and NumPy`, () => {
    const feeds = leaves.map((leaf, i) => [leaf, inputs[i]!] as const)
    const [value] = interpret([root], new Map(feeds), sizeIn({}))
    assert.deepEqual(value!.sizes, result.sizes)
    assert.ok(value!.data.every((v, i) => near(v, result.data[i]!, 1e-12)))
    const dy = placeholder(root.shape, 'f32')
    const fed = new Map([...feeds, [dy, cosines(result.sizes, result.data.length)] as const])
    const found = interpret(differentiate(root, dy, leaves), fed, sizeIn({}))
    gradients.forEach((expected, i) => {
      assert.deepEqual(found[i]!.sizes, expected.sizes)
      assert.ok(found[i]!.data.every((v, k) => near(v, expected.data[k]!, 1e-12)))
    })
  })
}

test('axes come and go, with the shapes in the types', () => {
  const x = f32('batch', 'n')
  const last: readonly ['batch', 'n', 1] = expandDims(x, -1).shape
  const first: readonly [1, 'batch', 'n'] = expandDims(x, 0).shape
  const back: readonly ['batch', 'n'] = squeeze(expandDims(x, 1)).shape
  const scalar: readonly [] = squeeze(f32(1, 1)).shape
  const both: readonly ['batch', 2, 'n'] = stack([x, f32('batch', 'n')], 1).shape
  const named: readonly ['layers', 'batch', 'n'] = stack([x, x, x], 0, 'layers').shape
  assert.deepEqual(
    [last, first, back, scalar, both, named].map(shape => shape.join()),
    ['batch,n,1', '1,batch,n', 'batch,n', '', 'batch,2,n', 'layers,batch,n'],
  )
})

test('the parts of a split are together the axis: sizes that are not are refused, before a number is lost', () => {
  const x = f32('both', 2)
  const [q, kv] = split(x, ['n', 'm'], 0)
  const shapes: readonly [readonly ['n', 2], readonly ['m', 2]] = [q.shape, kv.shape]
  assert.deepEqual(shapes.flat(), ['n', 2, 'm', 2])
  const data = of([5, 2], ...Array.from({ length: 10 }, (_, i) => i))
  assert.deepEqual(valueOf(kv, [x, data]), [6, 7, 8, 9])
  for (const [root, text] of [
    [split(x, ['n', 'n'], 0)[0], 'split: n + n is 6, not both, which is 5'],
    [split(x, ['m', 'm'], 0)[0], 'split: m + m is 4, not both, which is 5'],
  ] as const)
    assert.throws(() => valueOf(root, [x, data]), { message: text })
  const [one, two]: readonly { readonly shape: readonly Dim[] }[] = split(f32('4*n', 2), 2, 0)
  assert.deepEqual(
    [one!.shape, two!.shape],
    [
      ['2*n', 2],
      ['2*n', 2],
    ],
  )
})

test('a part that does not lie within its axis is refused once the sizes are known', () => {
  const x = f32('n')
  const data = of([3], 1, 2, 3)
  const start = integer(0)
  const wide = f32('wide')
  const cases: readonly (readonly [Node, string])[] = [
    [stride(x, 0, { as: 'm', step: 3 }), 'stride: m, which is 2, in steps of 3 from 0 is beyond n, which is 3'],
    [pad(x, 0, { as: 'both', start: ['n'] }), 'pad: n + n, which is 6, is beyond both, which is 5'],
    [pad(x, 0, { as: 'both', start: ['n'], mode: 'edge' }), 'pad: n + n, which is 6, is beyond both, which is 5'],
    [dynamicSlice(x, [start], ['wide']), 'dynamicSlice: wide, which is 7, is beyond n, which is 3'],
    [dynamicUpdate(x, wide, [start]), 'dynamicUpdate: wide, which is 7, is beyond n, which is 3'],
  ]
  for (const [root, message] of cases) {
    const feeds = new Map<Node, Numbers>([
      [x, data],
      [wide, of([7], 1, 2, 3, 4, 5, 6, 7)],
    ])
    assert.throws(
      () => interpret([root], feeds, sizeIn(sizes)),
      (error: Error) => error.message.includes(message),
    )
  }
})

test('a dynamic part is moved so that it lies within the tensor', () => {
  const x = f32(4)
  const at = i32()
  const data = of([4], 1, 2, 3, 4)
  for (const [start, slice, update] of [
    [-3, [1, 2], [8, 9, 3, 4]],
    [1, [2, 3], [1, 8, 9, 4]],
    [2 ** 31 - 1, [3, 4], [1, 2, 8, 9]],
  ] as const) {
    assert.deepEqual(valueOf(dynamicSlice(x, [at], [2]), [x, data], [at, of([], start)]), slice)
    const y = f32(2)
    const updated = dynamicUpdate(x, y, [at])
    assert.deepEqual(valueOf(updated, [x, data], [y, of([2], 8, 9)], [at, of([], start)]), update)
  }
})

test('the last place of a dim is exact for every size: it is not counted in float32', () => {
  // 2^24 + 1 is no float32
  const long = 2 ** 24 + 1
  assert.deepEqual([...interpret([lastOf('long')], new Map(), sizeIn({ long }))[0]!.data], [long - 1])
  assert.equal(lastOf('long').dtype, 'i32')
})

test('tensors of one number have the shape and the dtype that are asked for', () => {
  assert.deepEqual(valueOf(zeros(['m', 2])), [0, 0, 0, 0])
  assert.deepEqual(valueOf(ones([2], 'i32')), [1, 1])
  assert.deepEqual(valueOf(fill(['n'], -2.5)), [-2.5, -2.5, -2.5])
  assert.equal(fill([2], 1, 'bool').dtype, 'bool')
  assert.equal(zerosLike(i32('n')).dtype, 'i32')
  assert.deepEqual(onesLike(f32('n', 1)).shape, ['n', 1])
  assert.throws(() => fill([2], 0.5, 'bool'), { message: 'fill: 0.5 is no truth value: specify 0 or 1' })
  assert.throws(() => fill([2], 0.5, 'i32'), { message: 'constant: 0.5 is no 32-bit integer' })
  assert.deepEqual(valueOf(linspace(-1, 1, 'n')), [-1, 0, 1])
  assert.deepEqual(valueOf(linspace(3, 5, 1)), [3])
})

test('what is masked out of a triangle is 0, whatever it was', () => {
  const x = f32(2, 2)
  assert.deepEqual(valueOf(tril(x), [x, of([2, 2], 1, Number.NaN, Infinity, 2)]), [1, 0, Infinity, 2])
  const d = f32(2)
  assert.deepEqual(valueOf(linalg.diag(d), [d, of([2], Infinity, Number.NaN)]), [Infinity, 0, 0, Number.NaN])
})

test('a causal mask shows each query the keys up to its own', () => {
  const mask = causalMask('m', 'n')
  const typed: readonly ['m', 'n'] = mask.shape
  assert.deepEqual(valueOf(mask), [1, 0, 0, 1, 1, 0])
  assert.deepEqual(valueOf(causalMask(2, 3, 1)), [1, 1, 0, 1, 1, 1])
  assert.deepEqual(valueOf(causalMask(2, 3, integer(1))), [1, 1, 0, 1, 1, 1])
  assert.deepEqual([typed, mask.dtype], [['m', 'n'], 'bool'])
  assert.deepEqual(valueOf(eye('m')), [1, 0, 0, 1])
})

test('what the types refuse, the run refuses with the same text', () => {
  const x = f32('batch', 6)
  const cases: readonly (readonly [() => unknown, string])[] = [
    [() => untyped(expandDims)(x, 3), 'expandDims: axis 3 is out of range for [batch, 6]'],
    [() => untyped(squeeze)(x, 1), 'squeeze: axis 1 of [batch, 6] is 6, not 1'],
    [() => untyped(stack)([x, f32(6, 'batch')], 0), 'stack: [batch, 6] and [6, batch] differ'],
    [() => untyped(stack)([x, i32('batch', 6)], 0), 'stack: f32 and i32 differ: cast one'],
    [() => untyped(stack)([], 0), 'stack: there is nothing to stack'],
    [() => untyped(split)(x, 4, 1), 'split: 6 in [batch, 6] is not 4 equal parts: specify their sizes'],
    [() => untyped(split)(x, 2, 0), 'split: batch in [batch, 6] is not 2 equal parts: specify their sizes'],
    [() => untyped(split)(x, [2, 3], 1), 'split: 2 + 3 is never 6 in [batch, 6]'],
    [() => untyped(split)(x, 0, 1), 'split: 0 is no number of parts'],
    [() => untyped(flip)(x, 2), 'flip: axis 2 is out of range for [batch, 6]'],
    [() => untyped(roll)(x, 0.5, 1), 'roll: the shift is a whole number of at most 2^30 places, not 0.5'],
    [() => untyped(tile)(x, 2, 2), 'tile: axis 2 is out of range for [batch, 6]'],
    [() => untyped(tile)(x, 0, 0), 'dim times is 0: a dim is a positive whole number, a name or a product of them'],
    [() => untyped(pad)(x, 1, { as: 6, start: [1] }), 'pad: 1 + 6 in [batch, 6] is beyond 6'],
    [
      () => untyped(pad)(x, 1, { as: 7, value: 2, mode: 'edge' }),
      'pad: with the mode edge, there is no place for the value 2',
    ],
    [() => untyped(stride)(x, 1, { as: 4, step: 2 }), 'stride: 4 in steps of 2 from 0 is beyond 6 in [batch, 6]'],
    [() => untyped(tril)(f32(6)), 'tril: [6] needs at least 2 dims'],
    [() => untyped(linalg.diagonal)(x), 'diagonal: dims batch and 6 differ in [batch, 6]'],
    [() => untyped(linalg.trace)(f32(6)), 'trace: [6] needs at least 2 dims'],
    [() => untyped(linalg.diag)(f32()), 'diag: [] needs at least 1 dim'],
    [() => untyped(linalg.dot)(f32(2), f32(3)), 'dot: dims 2 and 3 differ'],
    [() => untyped(linalg.dot)(x, x), 'dot: [batch, 6] and [batch, 6] are not two vectors'],
    [() => untyped(dynamicSlice)(x, [0, 0], ['batch', 7]), 'dynamicSlice: 7 is beyond 6 in [batch, 6]'],
    [() => untyped(dynamicSlice)(x, [0], ['batch', 2]), 'dynamicSlice: there are 1 first places for 2 dims'],
    [() => untyped(dynamicUpdate)(x, f32(6), [0, 0]), 'dynamicUpdate: [6] and [batch, 6] differ in rank'],
    [() => untyped(matmul)(f32('m', 'k'), f32()), 'matmul: the right operand [] needs at least 1 dim'],
    [() => untyped(matmul)(f32('a', 2, 'k'), f32('b', 'k', 2)), 'matmul: leading dims [a] and [b] differ'],
  ]
  for (const [build, message] of cases) assert.throws(build, { name: 'ShapeMismatch', message })
})
