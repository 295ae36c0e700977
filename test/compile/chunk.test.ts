import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { chunked, chunkOp, pieceDim, type Chunk } from '../../src/compile/chunk/index.ts'
import { rowsOf } from '../../src/compile/chunk/op.ts'
import { hasFactor } from '../../src/compile/names.ts'
import {
  composites,
  count,
  interpret,
  is,
  node,
  placeholder,
  placeholderOp,
  primitives,
  rebuild,
  scalar,
  topological,
  u,
  type Along,
  type Node,
  type NodeOf,
  type Numbers,
  type Op,
} from '../../src/tensor/index.ts'
import { instances, registry, sizeIn, type Instance } from '../support/op-subjects.ts'
import { allEqual, equal, noise } from '../support/calculus.ts'
import { feedsFor, programsFor, size as sizeOfTiny, type Method } from '../support/tiny-programs.ts'

const chunksOf = (roots: readonly Node[]): readonly NodeOf<Chunk>[] => topological(roots).filter(n => is(n, chunkOp))

/** A node on rows of its inputs, with the rows: their start and their number. */
const onRows = ({ root, feeds, size }: Instance, cuts: Along, from: number, length: number): Numbers => {
  const inputs = root.inputs.map((input, i) =>
    placeholder(cuts[i] === undefined ? input.shape : input.shape.with(cuts[i], pieceDim), input.dtype),
  )
  const given = root.inputs.map((input, i): readonly [Node, Numbers] => {
    const x = interpret([input], feeds, size)[0]!
    return [inputs[i]!, cuts[i] === undefined ? x : rowsOf(x, cuts[i], from, length)]
  })
  return interpret([node(root.op, inputs, root.attributes)], new Map(given), dim =>
    dim === pieceDim ? length : size(dim),
  )[0]!
}
const along = (n: Node, axis: number): Along | undefined => n.op.along(n, axis)
const isCut = (n: Node, axis: number): boolean => !n.op.dims(n.attributes).some(dim => hasFactor(dim, n.shape[axis]!))
/**
 * The axes of an instance along which it can be cut, and whether its rows follow from the rows of its inputs along each
 * of them.
 */
const rowsFollow = (instance: Instance, cutter: typeof along): { readonly axes: number; readonly follow: boolean } => {
  const { root, feeds, size } = instance
  const [y] = interpret([root], feeds, size)
  const cut = root.shape.flatMap((dim, axis): readonly (readonly [number, Along, number])[] => {
    const cuts = cutter(root, axis)
    return cuts === undefined || !isCut(root, axis) ? [] : [[axis, cuts, size(dim)]]
  })
  const follow = cut.every(([axis, cuts, total]) =>
    Array.from({ length: total }, (_, from) => from).every(from =>
      equal(onRows(instance, cuts, from, total - from), rowsOf(y!, axis, from, total - from)),
    ),
  )
  return { axes: cut.length, follow }
}
const rowWise = [
  'add',
  'select',
  'cast',
  'silu',
  'contract',
  'transpose',
  'sum',
  'max',
  'take',
  'slice',
  'pad',
  'concat',
  'oneHot',
  'pick',
  'softmax',
  'softmaxGrad',
  'rmsNorm',
  'rmsNormGrad',
  'crossEntropy',
  'crossEntropyGrad',
]
for (const [name, subject] of registry) {
  test(`${name}: rows of the result follow from rows of what is cut`, () => {
    let cuts = 0
    fc.assert(
      fc.property(instances(subject), instance => {
        const { axes, follow } = rowsFollow(instance, along)
        cuts += axes
        return follow
      }),
      { numRuns: 60 },
    )
    if (rowWise.includes(name)) assert.ok(cuts >= 5, `it was cut ${cuts} times`)
  })
}
test('rows of a result follow from rows of what is cut: an op that works along its rows is refuted', () => {
  for (const name of ['softmax', 'softmaxGrad']) {
    const [, subject] = registry.find(([of]) => of === name)!
    const wrong: typeof along = (n, axis) => n.inputs.map(input => (input.shape.length > axis ? axis : undefined))
    const law = fc.property(instances(subject), instance => rowsFollow(instance, wrong).follow)
    assert.equal(fc.check(law, { numRuns: 200, endOnFailure: true }).failed, true, name)
  }
})
test('a sum over rows is the sum over pieces of them', () => {
  let sums = 0
  for (const name of ['contract', 'sum']) {
    const [, subject] = registry.find(([of]) => of === name)!
    fc.assert(
      fc.property(instances(subject), instance => {
        const { root, feeds, size } = instance
        const [y] = interpret([root], feeds, size)
        for (const [axis, dim] of root.inputs[0]!.shape.entries()) {
          const cuts = root.op.summedAlong!(root, 0, axis)
          const total = size(dim)
          if (cuts === undefined || total < 2) continue
          const [first, second] = [onRows(instance, cuts, 0, 1), onRows(instance, cuts, 1, total - 1)]
          assert.ok(equal({ sizes: y!.sizes, data: first!.data.map((v, i) => v + second!.data[i]!) }, y!))
          sums += 1
        }
      }),
      { numRuns: 100 },
    )
  }
  assert.ok(sums > 30, `only ${sums} sums`)
})

/** Random bodies around a product `[n, v]`, which is too large. */
const sizes = { n: 7, v: 6, h: 2 }
const size = sizeIn(sizes)
const largest = 4 * 30
interface Body {
  readonly inputs: readonly Node[]
  readonly roots: readonly Node[]
}
const apply = (op: Op<object>, ...inputs: readonly Node[]): Node => node(op, inputs, {})
const body: fc.Arbitrary<Body> = fc
  .record({
    steps: fc.array(fc.tuple(fc.nat(10), fc.nat(), fc.nat()), { maxLength: 8 }),
    ends: fc.array(fc.tuple(fc.nat(5), fc.nat()), { minLength: 1, maxLength: 5 }),
  })
  .map(({ steps, ends }) => {
    const h = placeholder(['n', 'h'], 'f32')
    const w = placeholder(['v', 'h'], 'f32')
    const t = placeholder(['n'], 'f32')
    const b = placeholder(['v'], 'f32')
    const labels = placeholder(['n'], 'i32')
    const large: Node[] = [u.contract(h, w, { a: 'mk', b: 'nk', out: 'mn' })]
    const column = (x: Node): Node => u.contract(x, u.broadcastTo(scalar(1), [1]), { a: 'm', b: 'o', out: 'mo' })
    const ops: readonly ((x: Node, y: Node) => Node)[] = [
      (x, y) => u.add(x, y),
      (x, y) => u.mul(x, y),
      x => apply(primitives.tanh, x),
      x => u.mul(x, b),
      x => apply(composites.softmax, x),
      (x, y) => apply(composites.softmaxGrad, x, y),
      x => u.rmsNorm(x, b, { epsilon: 1e-3 }),
      x => apply(composites.crossEntropyGrad, x, labels, t),
      // a path that leaves the large values and returns
      (x, y) =>
        apply(
          composites.crossEntropyGrad,
          x,
          labels,
          apply(primitives.tanh, apply(composites.crossEntropy, y, labels)),
        ),
      (x, y) => u.mul(x, column(u.sum(y, [1]))),
      x => u.sub(x, u.sum(x, [1], true)),
    ]
    for (const [op, i, j] of steps) large.push(ops[op]!(large[i % large.length]!, large[j % large.length]!))
    const results: readonly ((x: Node) => Node)[] = [
      x => apply(composites.crossEntropy, x, labels),
      x => u.contract(x, w, { a: 'mk', b: 'kn', out: 'mn' }),
      x => u.contract(x, h, { a: 'km', b: 'kn', out: 'mn' }),
      x => u.contract(h, x, { a: 'km', b: 'kn', out: 'mn' }),
      x => u.sum(x, [0]),
      x => u.contract(u.transpose(x, [1, 0]), h, { a: 'mk', b: 'kn', out: 'mn' }),
    ]
    return { inputs: [h, w, t, b, labels], roots: ends.map(([op, i]) => results[op]!(large[i % large.length]!)) }
  })
const feedsOf = ({ inputs }: Body): ReadonlyMap<Node, Numbers> =>
  new Map(
    inputs.map((input, i) => {
      const x = noise(input.shape.map(size), i)
      return [input, input.dtype === 'i32' ? { ...x, data: x.data.map((_, k) => (5 * k) % sizes.v) } : x]
    }),
  )
const same = (pass: (roots: readonly Node[], rows: number) => readonly Node[]) =>
  fc.property(body, fc.integer({ min: 1, max: 8 }), (b, rows) => {
    const next = pass(b.roots, rows)
    const feeds = feedsOf(b)
    return (
      next.every((n, i) => n.shape.join() === b.roots[i]!.shape.join()) &&
      allEqual(interpret(next, feeds, size), interpret(b.roots, feeds, size))
    )
  })
const isLarge = (n: Node): boolean => !is(n, placeholderOp) && 4 * count(n.shape.map(size)) > largest

test('a body in pieces means the same, and nothing in it is large', () => {
  let chunks = 0
  fc.assert(
    same((roots, rows) => {
      const next = chunked(roots, { size, largest, rows })
      chunks += chunksOf(next).length
      if (rows < sizes.n)
        assert.deepEqual(
          topological(next)
            .filter(isLarge)
            .map(n => n.op.name),
          [],
        )
      else assert.equal(next, roots)
      return next
    }),
    { numRuns: 300 },
  )
  assert.ok(chunks > 200, `only ${chunks} chunks`)
})
test('a body in pieces means the same: a last, shorter piece left out is refuted', () => {
  const short: Op<Chunk> = {
    ...chunkOp,
    several: {
      ...chunkOp.several!,
      eval: (inputs, chunk, of) =>
        chunkOp.several!.eval(inputs, chunk, dim =>
          dim === chunk.dim ? Math.floor(of(dim) / chunk.rows) * chunk.rows : of(dim),
        ),
    },
  }
  const mutant = (roots: readonly Node[], rows: number): readonly Node[] => {
    const next = chunked(roots, { size, largest, rows })
    return next.map(rebuild(next, n => (is(n, chunkOp) ? node(short, n.inputs, n.attributes) : n)))
  }
  assert.equal(fc.check(same(mutant), { numRuns: 300, endOnFailure: true }).failed, true)
})
test('a chunk runs with other sizes than it was weighed by', () => {
  fc.assert(
    fc.property(body, fc.integer({ min: 1, max: 9 }), (b, n) => {
      const [other, next] = [sizeIn({ ...sizes, n }), chunked(b.roots, { size, largest, rows: 3 })]
      const resized = ({ shape }: Node, { data }: Numbers): Numbers => ({
        sizes: shape.map(other),
        data: Float64Array.from({ length: count(shape.map(other)) }, (_, i) => data[i % data.length]!),
      })
      const feeds = new Map([...feedsOf(b)].map(([input, x]) => [input, resized(input, x)]))
      return allEqual(interpret(next, feeds, other), interpret(b.roots, feeds, other))
    }),
    { numRuns: 100 },
  )
})

for (const method of ['paca', 'full'] satisfies readonly Method[]) {
  for (const tied of [true, false]) {
    test(`${method}${tied ? '' : ', with a head of its own'}: the logits exist only in pieces, once, and a step computes the same`, () => {
      for (const kind of ['gradients', 'evaluate'] as const) {
        const programs = programsFor[method]({ tied })
        const { outputs } = programs[kind](sizeOfTiny)
        const feeds = feedsFor({ outputs }, programs, 1)
        const expected = interpret(outputs, feeds, sizeOfTiny)
        for (const rows of [1, 2, 3, 6]) {
          const next = chunked(outputs, { size: sizeOfTiny, largest: 400, rows })
          assert.ok(allEqual(interpret(next, feeds, sizeOfTiny), expected), `${kind}, ${rows} rows`)
          assert.ok(topological(outputs).some(n => n.shape.join() === 'scored,vocab'))
          assert.ok(!topological(next).some(n => n.shape.join() === 'scored,vocab'))
          const [chunk, ...others] = chunksOf(next)
          const ops = topological(chunk!.attributes.block.outputs).map(n => n.op.name)
          assert.deepEqual(others, [])
          assert.equal(chunk!.attributes.dim, 'scored')
          assert.equal(ops.filter(op => op === 'crossEntropy').length, 1)
          assert.equal(ops.filter(op => op === 'contract').length, kind === 'evaluate' ? 1 : method === 'full' ? 3 : 2)
        }
      }
    })
  }
}
test('logits that are asked for, or that fit, stay as they are', () => {
  const { outputs } = programsFor.paca().predict(sizeOfTiny)
  const { outputs: loss } = programsFor.paca().gradients(sizeOfTiny)
  assert.equal(chunked(outputs, { size: sizeOfTiny, largest: 400, rows: 3 }), outputs)
  assert.equal(chunked(loss, { size: sizeOfTiny, largest: 4000, rows: 3 }), loss)
  assert.equal(chunked(loss, { size: sizeOfTiny, largest: 400, rows: 7 }), loss)
})

test('what is large stays whole where something else needs it whole', () => {
  const h = placeholder(['n', 'h'], 'f32')
  const w = placeholder(['v', 'h'], 'f32')
  const t = placeholder(['n'], 'f32')
  const labels = placeholder(['n'], 'i32')
  const index = placeholder(['h'], 'i32')
  const z = u.contract(h, w, { a: 'mk', b: 'nk', out: 'mn' })
  const loss = apply(composites.crossEntropy, z, labels)
  const total = u.sum(loss, [0])
  const back = (dy: Node): Node =>
    u.contract(apply(composites.crossEntropyGrad, z, labels, dy), w, { a: 'mk', b: 'kn', out: 'mn' })
  const refused: Readonly<Record<string, readonly Node[]>> = {
    'it is a result': [loss, z],
    'it is read as a vector': [loss, u.sum(u.reshape(z, ['n*v']), [0])],
    'its reader goes along the rows and along the classes': [
      loss,
      u.sum(apply(composites.softmax, u.transpose(z, [1, 0])), [0]),
    ],
    'rows of it are taken for something large': [loss, u.reshape(u.take(u.take(z, index, 0), labels, 0), ['n*v'])],
    'its gradient waits for the sum of the loss': [total, back(u.broadcastTo(total, ['n']))],
    'its gradient waits for the sum of other gradients': [
      back(u.sum(u.contract(back(t), h, { a: 'mk', b: 'nk', out: 'mn' }), [0])),
    ],
  }
  for (const [why, roots] of Object.entries(refused))
    assert.ok(topological(chunked(roots, { size, largest, rows: 3 })).includes(z), why)
  // and does not, if the way back is row by row
  assert.equal(chunksOf(chunked([total, back(apply(primitives.tanh, loss))], { size, largest, rows: 3 })).length, 1)
})
test('a chunk refuses what does not fit its block', () => {
  const x = placeholder(['n'], 'f32')
  const p = placeholder([pieceDim], 'f32')
  const block = { name: 'chunk', parameters: [p], outputs: [u.mul(p, 2)] }
  const chunk: Chunk = { block, dim: 'n', rows: 3, inputs: [0], outputs: [{ kind: 'rows', axis: 0 }] }
  assert.equal(node(chunkOp, [x], chunk).op, chunkOp)
  assert.throws(() => node(chunkOp, [placeholder(['v'], 'f32')], chunk), /chunk chunk: argument 0 is \[v\]/)
})
