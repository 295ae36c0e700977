import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { callsOf, mapBlocks } from '../../src/compile/blocks.ts'
import { clustersOf } from '../../src/compile/fuse/clusters.ts'
import { fused } from '../../src/compile/fuse/fuse.ts'
import { isMovement, isRowWise, sameRows, withoutBroadcasts } from '../../src/compile/fuse/fusible.ts'
import {
  blockOf,
  broadcastToOp,
  call,
  composites,
  interpret,
  is,
  node,
  placeholder,
  primitives,
  rebuild,
  result,
  resultOp,
  scalar,
  ShapeMismatch,
  topological,
  withInputs,
  u,
  type Block,
  type Dim,
  type Node,
  type Numbers,
  type Op,
} from '../../src/tensor/index.ts'
import { sizeIn } from '../support/op-subjects.ts'
import { noise } from '../support/calculus.ts'
import {
  feedsFor,
  identical,
  isStaticDim,
  programsFor,
  size as sizeOfTiny,
  type Method,
} from '../support/tiny-programs.ts'

/** A random graph: nodes that read earlier nodes, some of which may be joined. */
const abstractGraph = fc
  .array(fc.tuple(fc.boolean(), fc.nat(), fc.nat()), { minLength: 1, maxLength: 24 })
  .map(steps => {
    const order: Node[] = [placeholder([], 'f32'), placeholder([], 'f32')]
    const joined = new Set<Node>()
    for (const [isJoined, i, j] of steps) {
      const next = u.add(order[i % order.length]!, order[j % order.length]!)
      order.push(next)
      if (isJoined) joined.add(next)
    }
    return { order, joins: (producer: Node, consumer: Node): boolean => joined.has(producer) && joined.has(consumer) }
  })
type Clusters = readonly (readonly Node[])[]
const reads = (n: Node): readonly Node[] => n.inputs

/**
 * True if clusters can be ordered so that each comes after those that it reads: they are removed one by one, as long as
 * one reads no other.
 */
const isOrdered = (clusters: Clusters): boolean => {
  const clusterOf = new Map(clusters.flatMap((members, i) => members.map((n): readonly [Node, number] => [n, i])))
  let left = new Set(clusters.keys())
  for (let before = Infinity; left.size < before;) {
    before = left.size
    left = new Set(
      [...left].filter(i =>
        clusters[i]!.some(n => n.inputs.some(input => clusterOf.get(input) !== i && left.has(clusterOf.get(input)!))),
      ),
    )
  }
  return left.size === 0
}
/** The mutant: joins whatever may be joined. */
const careless: typeof clustersOf = (order, _, joins) =>
  order.reduce<Clusters>((clusters, n) => {
    const own = clusters.filter(members => n.inputs.some(input => members.includes(input) && joins(input, n)))
    return [...clusters.filter(members => !own.includes(members)), [...own.flat(), n]]
  }, [])
const acyclic = (cluster: typeof clustersOf) =>
  fc.property(abstractGraph, ({ order, joins }) => isOrdered(cluster(order, reads, joins)))

test('clusters never wait for each other, each node is in one, and only what may be joined is with others', () => {
  fc.assert(acyclic(clustersOf), { numRuns: 500 })
  fc.assert(
    fc.property(abstractGraph, ({ order, joins }) => {
      const clusters = clustersOf(order, reads, joins)
      return (
        clusters.flat().length === order.length &&
        new Set(clusters.flat()).size === order.length &&
        clusters.every(members => members.length === 1 || members.every(n => joins(n, n)))
      )
    }),
    { numRuns: 300 },
  )
})
test('clusters never wait for each other: joining without looking is refuted', () => {
  assert.equal(fc.check(acyclic(careless), { numRuns: 500, endOnFailure: true }).failed, true)
})
test('two clusters that an edge could join are left apart only where joined they would wait for another', () => {
  let apart = 0
  fc.assert(
    fc.property(abstractGraph, ({ order, joins }) => {
      const clusters = clustersOf(order, reads, joins)
      const of = (n: Node) => clusters.find(members => members.includes(n))!
      for (const consumer of order)
        for (const producer of consumer.inputs) {
          const from = of(producer)
          const to = of(consumer)
          if (from === to || !joins(producer, consumer)) continue
          apart += 1
          assert.ok(!isOrdered([...clusters.filter(members => members !== from && members !== to), [...from, ...to]]))
        }
    }),
    { numRuns: 500 },
  )
  assert.ok(apart > 20, `only ${apart} pairs were apart`)
})

/** Random bodies over `[a, b]`: `b` is known to the model, `a` is not. */
const sizes = { a: 3, b: 4, half: 2 }
const size = sizeIn(sizes)
const isStatic = (dim: Dim): boolean => dim !== 'a'
interface Body {
  readonly inputs: readonly Node[]
  readonly roots: readonly Node[]
}
const apply = (op: Op<object>, ...inputs: readonly Node[]): Node => node(op, inputs, {})
const body: fc.Arbitrary<Body> = fc
  .record({
    steps: fc.array(fc.tuple(fc.nat(17), fc.nat(), fc.nat()), { minLength: 1, maxLength: 24 }),
    outputs: fc.array(fc.nat(), { minLength: 1, maxLength: 4 }),
  })
  .map(({ steps, outputs }) => {
    const inputs = [placeholder(['a', 'b'], 'f32'), placeholder(['a', 'b'], 'f32'), placeholder(['b'], 'f32')]
    const [x0, y0, g] = inputs as [Node, Node, Node]
    const inner = placeholder(['a', 'b'], 'f32')
    const block: Block = {
      name: 'block',
      parameters: [inner],
      outputs: [u.mul(inner, inner), apply(composites.silu, inner)],
    }
    const values: Node[] = [x0, y0]
    const ops: readonly ((x: Node, y: Node) => readonly Node[])[] = [
      (x, y) => [u.add(x, y)],
      (x, y) => [u.mul(x, y)],
      x => [apply(primitives.tanh, x)],
      x => [u.mul(x, 0.5)],
      (x, y) => [u.select(apply(primitives.less, x, y), x, scalar(1))],
      (x, y) => [u.mul(x, u.cast(apply(primitives.less, x, y), 'f32'))],
      (x, y) => [u.mul(x, u.sum(y, [1], true))],
      (x, y) => [u.add(x, u.reshape(u.max(y, [1]), ['a', 1]))],
      x => [u.rmsNorm(x, g, { epsilon: 1e-3 })],
      (x, y) => [apply(composites.softmaxGrad, x, y)],
      x => [
        u.mul(x, u.broadcastTo(scalar(3), ['a', 'b'])),
        apply(primitives.tanh, u.broadcastTo(u.mul(g, g), ['a', 'b'])),
      ],
      x => [apply(composites.silu, u.broadcastTo(u.sum(x, [1], true), ['a', 'b']))],
      x => [u.concat([u.slice(x, 1, { as: 'half', start: ['half'] }), u.slice(x, 1, { as: 'half' })], 1, 'b')],
      x => [u.add(x, u.iota('b', 'f32')), u.add(x, u.reshape(u.iota('a', 'f32'), ['a', 1]))],
      (x, y) => [u.contract(u.contract(x, y, { a: 'mk', b: 'nk', out: 'mn' }), x, { a: 'mk', b: 'kn', out: 'mn' })],
      x => [u.transpose(u.reshape(u.transpose(x, [1, 0]), ['b', 'a']), [1, 0])],
      x => [u.mul(x, u.sum(x, [0, 1]))],
      x => [...call(block, [x])],
    ]
    for (const [op, i, j] of steps) values.push(...ops[op]!(values[i % values.length]!, values[j % values.length]!))
    return { inputs, roots: outputs.map(o => values.at(-1 - (o % values.length))!) }
  })
const feedsOf = ({ inputs }: Body): ReadonlyMap<Node, Numbers> =>
  new Map(inputs.map((input, i) => [input, noise(input.shape.map(size), i)]))
type Fuse = (roots: readonly Node[]) => readonly Node[]
const fuse: Fuse = roots => fused(roots, { isStaticDim: isStatic })
const same = (pass: Fuse) =>
  fc.property(body, b => {
    const next = pass(b.roots)
    const feeds = feedsOf(b)
    return (
      next.every((n, i) => n.shape.join() === b.roots[i]!.shape.join() && n.dtype === b.roots[i]!.dtype) &&
      identical(interpret(next, feeds, size), interpret(b.roots, feeds, size))
    )
  })
const fusedBlocks = (roots: readonly Node[]): readonly Block[] =>
  [...callsOf(roots).keys()].filter(block => block.fused === true)

const fusedCalls = (roots: readonly Node[]): number => topological(roots).filter(n => blockOf(n)?.fused === true).length

test('a fused body means the same, to the last bit', () => {
  fc.assert(same(fuse), { numRuns: 500 })
})
test('a fused body means the same: results read in another order are refuted', () => {
  const swapped: Fuse = roots => {
    const next = fuse(roots)
    return next.map(
      rebuild(next, n => {
        const block = is(n, resultOp) ? blockOf(n.inputs[0]!) : undefined
        if (!is(n, resultOp) || block?.fused !== true) return n
        const other = (n.attributes.index + 1) % block.outputs.length
        return block.outputs[other]!.shape.join() === n.shape.join() ? result(n.inputs[0]!, other) : n
      }),
    )
  }
  assert.equal(fc.check(same(swapped), { numRuns: 500, endOnFailure: true }).failed, true)
})
test('small kernels of which none depends on another are one, which means the same', () => {
  let joined = 0
  const beside: Fuse = roots => {
    const next = fused(roots, { isStaticDim: isStatic, isSmall: ({ shape }) => shape.length > 0 })
    joined += fusedCalls(fuse(roots)) - fusedCalls(next)
    return next
  }
  fc.assert(same(beside), { numRuns: 500 })
  assert.ok(joined > 0, 'no kernels were joined')
  const leaves = Array.from({ length: 3 }, (_, i) => placeholder([i + 2], 'f32'))
  const rate = placeholder([], 'f32')
  const updates = leaves.map(x => u.sub(x, u.mul(u.exp(x), rate)))
  const isSmall = ({ shape }: Node): boolean => shape.length > 0
  assert.equal(fusedCalls(fused(updates, { isStaticDim: isStatic, isSmall })), 1)
  // the second reads a product of the first, so they cannot be one
  const [x] = leaves as [Node]
  const first = u.exp(u.add(x, rate))
  const second = u.exp(u.add(u.sum(first, [0], true), rate))
  assert.equal(fusedCalls(fused([first, second], { isStaticDim: isStatic, isSmall })), 2)
})
test('an elementwise op reads past a broadcast, and means the same', () => {
  let broadcasts = 0
  const counted = (roots: readonly Node[]): number => topological(roots).filter(n => is(n, broadcastToOp)).length
  fc.assert(
    same(roots => {
      const next = withoutBroadcasts(roots)
      broadcasts += counted(roots) - counted(next)
      return next
    }),
    { numRuns: 500 },
  )
  assert.ok(broadcasts > 10, `only ${broadcasts} broadcasts were read past`)
})
test('an elementwise op reads past a broadcast: one that gives a value its shape left out is refuted', () => {
  const careless: Fuse = roots => {
    try {
      return roots.map(
        rebuild(roots, n =>
          n.inputs.length === 1 && is(n.inputs[0]!, broadcastToOp) ? withInputs(n, n.inputs[0].inputs) : n,
        ),
      )
    } catch (error) {
      // a reader of a value with another shape may not be an expression at all: that is no evidence
      if (error instanceof ShapeMismatch) return roots
      throw error
    }
  }
  assert.equal(fc.check(same(careless), { numRuns: 500, endOnFailure: true }).failed, true)
})

/** The faults of the fused blocks of a body. */
const faults = (roots: readonly Node[], isStaticHere: (dim: Dim) => boolean): readonly string[] =>
  [...callsOf(roots)].flatMap(([block, all]) => {
    const order = topological(roots)
    // a call within another block is read there
    const calls = all.filter(call => order.includes(call))
    if (block.fused !== true || calls.length === 0) return []
    const inside = topological(block.outputs)
    const own = inside.filter(n => !block.parameters.includes(n))
    const read = new Set<Node>([...roots, ...order.flatMap(n => n.inputs)])
    const work = own.filter(n => isRowWise(n, isStaticHere))
    return [
      ...(block.parameters.every(p => inside.includes(p)) ? [] : ['a parameter that nothing reads']),
      ...(calls.every(c => new Set(c.inputs).size === c.inputs.length) ? [] : ['an argument passed twice']),
      ...(calls.every(c =>
        c.inputs.every(
          input => input.inputs.length > 0 || is(input, primitives.parameter) || !isStaticHere(input.shape[0] ?? 1),
        ),
      )
        ? []
        : ['a constant passed as an argument']),
      ...(block.outputs.every((_, k) =>
        order.some(n => is(n, resultOp) && n.attributes.index === k && calls.includes(n.inputs[0]!) && read.has(n)),
      )
        ? []
        : ['an output that nobody reads']),
      ...(work.length > 1 || work.some(n => n.op.expand) ? [] : ['a kernel of one plain op']),
      ...(work.some(n => !isMovement(n)) ? [] : ['a kernel that only moves']),
      ...(own.every(n => work.includes(n) || is(n, broadcastToOp) || n.inputs.length === 0)
        ? []
        : ['an op that is not row-wise']),
      ...(own.some(n => is(n, primitives.iota) && !isStaticHere(n.attributes.dim))
        ? ['a constant of unknown size']
        : []),
    ]
  })
test('kernels read each argument once, return what is read, hold their constants, and are more than one plain op', () => {
  let kernels = 0
  fc.assert(
    fc.property(body, ({ roots }) => {
      const next = fuse(roots)
      kernels += fusedBlocks(next).length
      assert.deepEqual(faults(next, isStatic), [])
      assert.ok(
        !topological(next).some(n => n.op.expand && isRowWise(n, isStatic)),
        'a row-wise composite is left outside',
      )
    }),
    { numRuns: 500 },
  )
  assert.ok(kernels > 200)
})
/** The unit that computes a node: a kernel, or the node itself. */
const unitOf = (n: Node): Node => (is(n, resultOp) ? n.inputs[0]! : n)
/** True if a way leads from one unit to another through a third. */
const hasDetour = (roots: readonly Node[], from: Node, to: Node): boolean => {
  const after = new Set<Node>([from])
  const through = new Set<Node>()
  for (const n of topological(roots)) {
    if (n.inputs.some(input => after.has(input))) after.add(n)
    const isThird = n !== from && n !== to && unitOf(n) !== from
    if (n.inputs.some(input => through.has(input) || (isThird && after.has(input)))) through.add(n)
  }
  return through.has(to)
}
/** The pairs of row-wise nodes in different units of a fused body in which one reads the other along the same rows. */
const neighbours = (roots: readonly Node[]): readonly (readonly [producer: Node, consumer: Node])[] =>
  topological(roots).flatMap(n => {
    const block = blockOf(n)
    if (block && block.fused !== true) return []
    const given = new Map<Node, Node>(
      block ? block.parameters.map((p, i) => [p, n.inputs[i]!]) : n.inputs.flatMap(behind).map(input => [input, input]),
    )
    return topological(block ? block.outputs : [n])
      .filter(c => isRowWise(c, isStatic) && (block !== undefined || c === n))
      .flatMap(consumer => {
        const read = consumer.inputs.flatMap(input => behind(input).map(producer => ({ producer, input })))
        const near = read.filter(
          ({ producer }) =>
            isRowWiseUnit(given.get(producer)) &&
            read.every(other => other.producer !== producer || sameRows(producer, other.input, consumer)),
        )
        return near
          .map(({ producer }) => given.get(producer)!)
          .filter(producer => !(isMovement(producer) && isMovement(consumer)))
          .map((producer): readonly [Node, Node] => [unitOf(producer), n])
      })
  })
const behind = (n: Node): readonly Node[] =>
  is(n, broadcastToOp) && n.shape.every(isStatic) ? n.inputs.flatMap(behind) : [n]
const isRowWiseUnit = (n: Node | undefined): boolean =>
  n !== undefined && (is(n, resultOp) ? blockOf(n.inputs[0]!)?.fused === true : isRowWise(n, isStatic))

test('two units over the same rows, one of which reads the other, are apart only where joined they would wait for another', () => {
  let apart = 0
  fc.assert(
    fc.property(body, ({ roots }) => {
      const next = fuse(roots)
      for (const [producer, consumer] of neighbours(next)) {
        apart += 1
        assert.ok(hasDetour(next, producer, consumer))
      }
    }),
    { numRuns: 500 },
  )
  assert.ok(apart > 10, `only ${apart} pairs were apart`)
  const unfused = fc.property(body, ({ roots }) =>
    neighbours(roots).every(([producer, consumer]) => hasDetour(roots, producer, consumer)),
  )
  assert.equal(fc.check(unfused, { numRuns: 500, endOnFailure: true }).failed, true)
})
test('fusing twice changes nothing, and the same body gives the same names', () => {
  fc.assert(
    fc.property(body, ({ roots }) => {
      const once = fuse(roots)
      const names = (of: readonly Node[]) =>
        fusedBlocks(of)
          .map(({ name }) => name)
          .join()
      assert.equal(names(once), names(fuse(roots)))
      assert.equal(fusedBlocks(fuse(once)).length, fusedBlocks(once).length)
    }),
    { numRuns: 200 },
  )
})

test('a residual that is read before and after a product is in one kernel only, and the sum after the product in none', () => {
  const x = placeholder(['a', 'b'], 'f32')
  const y = placeholder(['a', 'b'], 'f32')
  const w = placeholder(['b', 'b'], 'f32')
  const g = placeholder(['b'], 'f32')
  const sum = u.add(x, y)
  const normed = u.rmsNorm(sum, g, { epsilon: 1e-3 })
  const [root] = fuse([u.add(sum, u.contract(normed, w, { a: 'mk', b: 'kn', out: 'mn' }))])
  assert.equal(root!.op, primitives.add)
  const [kernel, ...others] = fusedBlocks([root!])
  assert.deepEqual(others, [])
  assert.deepEqual(
    kernel!.outputs.map(n => n.op.name),
    ['add', 'rmsNorm'],
  )
})
test('values that share only an input, or only a number computed before, are not fused', () => {
  const t = placeholder([], 'f32')
  const rate = apply(primitives.tanh, apply(primitives.neg, t))
  const leaves = [['a', 'b'], ['a', 'b'], ['b']].map(shape => placeholder(shape, 'f32'))
  const next = fuse(leaves.map(leaf => u.div(u.mul(leaf, rate), u.add(leaf, scalar(1)))))
  assert.deepEqual(
    [...callsOf(next)].map(([block, calls]) => [block.outputs[0]!.shape.join(), calls.length]),
    [
      ['', 1],
      ['a,b', 2],
      ['b', 1],
    ],
  )
})
test('bodies that are given the same map share their kernels', () => {
  const blocks = new Map<string, Block>()
  const make = (): readonly Node[] => [apply(composites.silu, u.mul(placeholder(['a', 'b'], 'f32'), 2))]
  const [first, second] = [make(), make()].map(roots => fusedBlocks(fused(roots, { isStaticDim: isStatic, blocks }))[0])
  assert.ok(first !== undefined && first === second)
})
test('what a target wants in no kernel stays outside', () => {
  const x = placeholder(['a', 'b'], 'f32')
  const root = apply(composites.silu, apply(primitives.tanh, u.add(x, x)))
  const [next] = fused([root], { isStaticDim: isStatic, fusible: n => n.op !== primitives.tanh })
  assert.deepEqual(
    fusedBlocks([next!]).map(block => topological(block.outputs).map(n => n.op.name)),
    [['parameter', 'silu']],
  )
  assert.equal(topological([next!]).filter(n => n.op === primitives.tanh).length, 1)
})

const kinds = ['gradients', 'evaluate', 'update', 'decode'] as const
for (const method of ['paca', 'full'] satisfies readonly Method[]) {
  for (const runs of [(): boolean => true, (op: string): boolean => op in primitives]) {
    test(`the programs of ${method} mean the same fused${runs('rope') ? '' : ', their composites expanded'}`, () => {
      for (const kind of kinds) {
        const programs = programsFor[method]({ runs })
        const program = programs[kind]!(sizeOfTiny)
        const blocks = new Map<string, Block>()
        const pass: Fuse = roots => fused(roots, { isStaticDim, blocks })
        const next = pass(mapBlocks(program.outputs, block => ({ ...block, outputs: pass(block.outputs) })))
        const feeds = feedsFor(program, programs, 1)
        assert.ok(identical(interpret(next, feeds, sizeOfTiny), interpret(program.outputs, feeds, sizeOfTiny)), kind)
        assert.ok(blocks.size > 0, kind)
        const bodies = [
          next,
          ...[...callsOf(next).keys()].filter(block => block.fused !== true).map(block => block.outputs),
        ]
        assert.deepEqual(
          bodies.flatMap(roots => faults(roots, isStaticDim)),
          [],
          kind,
        )
      }
    })
  }
}
test('an update has one kernel for each leaf, shared between leaves of one shape', () => {
  const next = fused(programsFor.full().update(sizeOfTiny).outputs, { isStaticDim })
  const kernels = [...callsOf(next)].filter(([block]) => block.outputs[0]!.shape.length > 0)
  assert.deepEqual(
    kernels.map(([, calls]) => calls.length).reduce((sum, n) => sum + n, 0),
    29,
  )
  assert.equal(kernels.length, 7)
})
