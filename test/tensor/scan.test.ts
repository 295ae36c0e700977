import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  add,
  f32,
  gradients,
  hvp,
  i32,
  is,
  jvp,
  loopOp,
  matmul,
  mul,
  node,
  placeholder,
  rebuild,
  scalar,
  scan,
  less,
  sum,
  tanh,
  topological,
  typed,
  u,
  whole,
  type Dim,
  type Node,
  type Partition,
  type Tensor,
  type Wanted,
} from '../../src/tensor/index.ts'
import { unrolled } from '../../src/compile/unroll.ts'
import { allEqual, near, noise, quotient, run, dot } from '../support/calculus.ts'

const sizesOf = (time: number): Readonly<Record<string, number>> => ({ time, batch: 2, in: 3, hidden: 4, few: 2 })
const sizing =
  (time: number) =>
  (dim: Dim): number =>
    typeof dim === 'number' ? dim : sizesOf(time)[dim]!
const x = f32('time', 'batch', 'in')
const gate = f32('time', 'batch', 1)
const h0 = f32('batch', 'hidden')
const w = f32('in', 'hidden')
const v = f32('hidden', 'hidden')
const b = f32('hidden')
const leaves: readonly Node[] = [x, gate, h0, w, v, b]
const index = i32('few')
type State = Tensor<readonly ['batch', 'hidden']>
const dataFor = (time: number) => {
  const size = sizing(time)
  return new Map<Node, ReturnType<typeof noise>>([
    ...leaves.map((leaf, i) => [leaf, noise(leaf.shape.map(size), i)] as const),
    [index, { sizes: [2], data: Float64Array.of(1, 0) }],
  ])
}

type Step = (h: State, x: Tensor<readonly ['batch', 'in']>, g: Tensor<readonly ['batch', 1]>) => readonly [State, Node]
const steps: Readonly<Record<string, Step>> = {
  'a recurrent layer': (h, e) => {
    const next = tanh(add(add(matmul(e, w), matmul(h, v)), b))
    return [next, next]
  },
  'a gated state with results of another shape': (h, e, g) => {
    const next = add(mul(h, g), tanh(matmul(e, w)))
    return [next, sum(mul(next, h), -1)]
  },
  'a weight that is used elementwise and twice': (h, e) => {
    const next = tanh(add(mul(h, b), matmul(matmul(h, v), v)))
    return [next, mul(matmul(e, w), b)]
  },
  'a state that is held where a mask is false': (h, e, g) => {
    const next = tanh(add(matmul(e, w), matmul(h, v)))
    return [typed(u.select(less(g, 0), next, h)), h]
  },
  'a step whose state is not read': (_, e) => [matmul(e, w), matmul(e, w)],
  'a step that reads the whole sequence too': (h, e) => [tanh(add(h, matmul(e, w))), mul(h, matmul(sum(x, 0), w))],
  'a result that is the same in every step': (h, e) => [add(h, matmul(e, w)), tanh(b)],
}

interface Made {
  readonly last: Node
  readonly all: Node
}
const scanning = (step: Step, reverse: boolean): Made => {
  const [last, all] = scan({ x, gate }, h0, (h, e) => step(h, e.x, e.gate), { reverse })
  return { last, all }
}
/** The same steps, one after the other. */
const byHand = (step: Step, reverse: boolean, time: number): Made => {
  const at = (of: Node, i: number): never =>
    u.reshape(u.slice(of, 0, { as: 1, start: i === 0 ? [] : [i] }), of.shape.slice(1)) as never
  const results: Node[] = []
  let h = h0
  for (let turn = 0; turn < time; turn++) {
    const i = reverse ? time - 1 - turn : turn
    const [next, result] = step(h, at(x, i), at(gate, i))
    h = next
    results[i] = u.reshape(result, [1, ...result.shape])
  }
  return { last: h, all: u.concat(results, 0, 'time') }
}
/** A scalar of both results, the second weighed, so that their cotangents differ. */
const scalarOf = ({ last, all }: Made): Node => {
  const total = (n: Node): Node =>
    u.sum(
      n,
      n.shape.map((_, axis) => axis),
    )
  return u.add(total(u.mul(last, last)), u.mul(total(u.sin(all)), 0.7))
}

const modes: readonly Partition[] = [{ recompute: 'none' }, {}, { recompute: 'all' }]
const columns = (leaf: Node): Wanted => ({
  leaf,
  kind: 'columns',
  index: [index],
  get: (cotangent, [i]) => u.take(cotangent, i!, 0),
})
const wantedOf = (chosen: readonly number[]): readonly Wanted[] =>
  leaves.flatMap((leaf, i) =>
    chosen[i] === 0 ? [] : chosen[i] === 1 || leaf.shape[0] === 'time' ? [whole(leaf)] : [columns(leaf)],
  )
const choices = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: leaves.length, maxLength: leaves.length })

type Spoil = (roots: readonly Node[]) => readonly Node[]
const agrees = (
  step: Step,
  [time, reverse, mode, chosen]: readonly [number, boolean, Partition, readonly number[]],
  spoil: Spoil = roots => roots,
): boolean => {
  const of = { feeds: dataFor(time), size: sizing(time) }
  const wanted = wantedOf(chosen)
  const made = gradients([scalarOf(scanning(step, reverse))], [scalar(1)], wanted, mode)
  const due = gradients([scalarOf(byHand(step, reverse, time))], [scalar(1)], wanted)
  const roots = spoil([...made.outputs, ...made.gradients])
  const expected = run(of, [...due.outputs, ...due.gradients])
  return allEqual(run(of, roots), expected) && allEqual(run(of, unrolled(roots, of.size)), expected)
}
const instances = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.boolean(), fc.constantFrom(...modes), choices)

for (const [name, step] of Object.entries(steps)) {
  test(`${name}: a scan over time and its gradients are those of the steps one after the other`, () => {
    fc.assert(
      fc.property(instances, instance => agrees(step, instance)),
      { numRuns: 60 },
    )
  })
  test(`${name}: the gradient is the limit of difference quotients`, () => {
    const instance = { feeds: dataFor(3), size: sizing(3) }
    const root = scalarOf(scanning(step, false))
    const made = gradients([root], [scalar(1)], leaves.map(whole)).gradients
    leaves.forEach((leaf, i) => {
      const direction = noise(leaf.shape.map(instance.size), 50 + i)
      const slope = quotient(instance, root, { sizes: [], data: Float64Array.of(1) }, leaf, direction)
      assert.ok(near(dot(run(instance, [made[i]!])[0]!, direction), slope, 1e-5), `leaf ${i}`)
    })
  })
  test(`${name}: a Hessian times a vector, and a derivative in a direction, are those of the steps`, () => {
    const of = { feeds: dataFor(3), size: sizing(3) }
    const directions = leaves.map((leaf, i) => noise(leaf.shape.map(of.size), 70 + i))
    const tangents = leaves.map(leaf => placeholder(leaf.shape, 'f32'))
    const feeds = new Map([...of.feeds, ...tangents.map((t, i) => [t, directions[i]!] as const)])
    const both = (make: () => Made): readonly Node[] => [
      ...along(make, tangents, hvp as never),
      ...along(make, tangents, jvp as never),
    ]
    assert.ok(
      allEqual(
        run(
          { ...of, feeds },
          both(() => scanning(step, false)),
        ),
        run(
          { ...of, feeds },
          both(() => byHand(step, false, 3)),
        ),
        1e-8,
      ),
    )
  })
}
/** A transform of the scalar as a function of all leaves. */
const along = (
  make: () => Made,
  tangents: readonly Node[],
  transform: (f: (...given: readonly Node[]) => Node, at: readonly Node[], along: readonly Node[]) => readonly Node[],
): readonly Node[] => {
  const root = scalarOf(make())
  return transform(
    (...given) => {
      const at = new Map(leaves.map((leaf, i) => [leaf, given[i]!]))
      return rebuild([root], (rebuilt, old) => at.get(old) ?? rebuilt)(root)
    },
    leaves,
    tangents,
  )
}

const changedLoops =
  (change: (n: Node) => Node): Spoil =>
  roots =>
    roots.map(rebuild(roots, n => (is(n, loopOp) ? change(n) : n)))
const mutants: Readonly<Record<string, Spoil>> = {
  'a loop that goes the other way': changedLoops(n =>
    is(n, loopOp) ? node(loopOp, n.inputs, { ...n.attributes, reverse: !n.attributes.reverse }) : n,
  ),
  'a step that is not quite the same': changedLoops(n =>
    is(n, loopOp)
      ? node(loopOp, n.inputs, {
          ...n.attributes,
          block: { ...n.attributes.block, outputs: n.attributes.block.outputs.map(o => u.add(o, scalar(1e-5))) },
        })
      : n,
  ),
  'results that are doubled': roots => roots.map(root => u.mul(root, 2)),
}
for (const [name, spoil] of Object.entries(mutants))
  test(`${name} is refuted`, () => {
    const law = fc.property(instances, instance => agrees(steps['a recurrent layer']!, instance, spoil))
    assert.ok(fc.check(law, { numRuns: 60, endOnFailure: true }).failed)
  })

test('a step is one block forward and one backward, and products with weights are summed over time after it', () => {
  const { outputs, gradients: made } = gradients(
    [scalarOf(scanning(steps['a recurrent layer']!, false))],
    [scalar(1)],
    [v, w].map(whole),
  )
  const loops = topological([...outputs, ...made]).filter(n => is(n, loopOp))
  assert.deepEqual(
    loops.map(n => [n.attributes.block.name, n.attributes.reverse]),
    [
      ['step.forward', false],
      ['step.backward', true],
    ],
  )
  const [, backward] = loops
  const shapes = backward!.attributes.block.outputs.map(({ shape }) => shape.join())
  assert.ok(!shapes.includes('hidden,hidden') && !shapes.includes('in,hidden'), shapes.join(' '))
})

test('the axis of time may be another one, for sequences and for results', () => {
  const flat = f32('batch', 'time', 'in')
  const [last, all] = scan(
    flat,
    h0,
    (h, e) => {
      const next = tanh(add(matmul(e, w), matmul(h, v)))
      return [next, { state: next, norm: sum(next, -1) }]
    },
    { axis: 1 },
  )
  const state: Tensor<readonly ['batch', 'time', 'hidden']> = all.state
  const norm: Tensor<readonly ['batch', 'time']> = all.norm
  const size = sizing(3)
  const turned = u.transpose(flat, [1, 0, 2])
  const feeds = new Map([...dataFor(3), [flat as Node, noise([2, 3, 3], 9)] as const])
  const [expectedLast, expected] = scan(turned as unknown as typeof x, h0, (h, e) => {
    const next = tanh(add(matmul(e, w), matmul(h, v)))
    return [next, next]
  })
  assert.ok(
    allEqual(
      run({ feeds, size }, [last, state, norm]),
      run({ feeds, size }, [expectedLast, u.transpose(expected, [1, 0, 2]), u.transpose(u.sum(expected, [2]), [1, 0])]),
    ),
  )
})

test('a state may be a record, and a step may yield nothing', () => {
  const [last, all] = scan(x, { h: h0, steps: scalar(0) }, ({ h, steps: n }, e) => [
    { h: tanh(add(h, matmul(e, w))), steps: add(n, 1) },
    [],
  ])
  assert.deepEqual(all, [])
  const size = sizing(4)
  assert.deepEqual([...run({ feeds: dataFor(4), size }, [last.steps])[0]!.data], [4])
})

test('what a scan refuses, it refuses in one sentence', () => {
  const same = (h: State) => [h, h] as const
  const untyped = scan as (...args: readonly unknown[]) => unknown
  assert.throws(() => untyped(f32(), h0, same), /^ShapeMismatch: scan: axis 0 is out of range for \[\]$/)
  assert.throws(
    () => untyped({ x, other: f32('steps', 'in') }, h0, same),
    /^ShapeMismatch: scan: the sequences differ in their dim on axis 0$/,
  )
  assert.throws(
    () => untyped(x, h0, (h: State) => [matmul(h, f32('hidden', 'in')), []]),
    /^ShapeMismatch: scan: a step turns the state \[batch, hidden\] into \[batch, in\]$/,
  )
  assert.throws(
    () => untyped(x, h0, (h: State) => [[h, h], []]),
    /^ShapeMismatch: scan: a step receives a state of 1 tensors and returns 2$/,
  )
  assert.throws(() => untyped(x, h0, (h: State) => [h, 1]), /^ShapeMismatch: scan: expected tensors in the results/)
  assert.throws(() => untyped({}, h0, same), /^ShapeMismatch: scan: there is no sequence to go through$/)
})
