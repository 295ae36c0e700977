import { followersOf } from './loop-sums.ts'
import { ShapeMismatch, substitute, topological, ruled, type Node } from './node.ts'
import type { Block } from './op/call.ts'
import { looped, type Feed } from './op/loop.ts'
import { placeholder, placeholderOp } from './op/placeholder.ts'
import { u } from './op/untyped.ts'
import { scanLayers } from './repeat.ts'
import { axisOf } from './shape/axis.ts'
import { show, type Dim } from './shape/dim.ts'
import { unequal, type ElementOf, type ScanError, type StackOf } from './scan-types.ts'
import { flattened, unflattened } from './trees.ts'

/** The axis of time, and the direction in which a scan goes along it. */
export interface ScanOptions<A extends number = number> {
  /**
   * The axis of the sequences along which they are cut, and of the results along which they are stacked (default: 0).
   */
  readonly axis?: A
  /** True if the last element comes first; results are in the order of the sequence either way (default: false). */
  readonly reverse?: boolean
}

/**
 * Goes through a sequence and carries a state along, like `jax.lax.scan`: each step receives the state and one element,
 * and returns the next state and the results of this step. The sequence is a tensor, or a record of tensors, cut along
 * its axis of time, `[time, …]` unless `axis` specifies another; or a list of anything, such as the parameters of
 * layers. The state and the results are tensors, or records or lists of them. Returns the last state and the results of
 * every step: stacked along the axis of time, or as a list for a list. A step is traced, differentiated and planned
 * once, however long the sequence is; values that it reads from outside are computed once.
 * @throws {ShapeMismatch} if sequences differ in their dim of time, or a step returns a state of another shape
 * @example const [last, all] = scan(xs, zeros, (h, x) => { const y = tanh(add(matmul(h, w), x)); return [y, y] })
 */
export const scan = <X, C, const Y, const A extends number = 0>(
  sequence: X & ScanError<X, A>,
  initial: C,
  step: (state: NoInfer<C>, element: ElementOf<X, A>) => readonly [NoInfer<C>, Y],
  options: ScanOptions<A> = {},
): readonly [C, StackOf<X, Y, A>] => {
  // the type checker cannot follow trees of any form; `ElementOf` and `StackOf` compute what is built here
  const made = Array.isArray(sequence)
    ? scanLayers(sequence as readonly unknown[], initial, step as UntypedStep)
    : scanTime(sequence, initial, step as UntypedStep, options)
  return made as readonly unknown[] as readonly [C, StackOf<X, Y, A>]
}
type UntypedStep = (state: unknown, element: unknown) => readonly [unknown, unknown]

const along = (axis: number, shape: readonly Dim[]): number => ruled(axisOf('scan', shape, axis))
/** Moves an axis to the front, or from there to its place. */
const toFront = (x: Node, at: number): Node => {
  const axes = x.shape.map((_, axis) => axis)
  return at === 0 ? x : u.transpose(x, [at, ...axes.filter(axis => axis !== at)])
}
const fromFront = (x: Node, at: number): Node => {
  const others = x.shape.map((_, axis) => axis).slice(1)
  return at === 0 ? x : u.transpose(x, [...others.slice(0, at), 0, ...others.slice(at)])
}

const like = ({ shape, dtype }: Node): Node => placeholder(shape, dtype)
const described = ({ shape, dtype }: Node): string => `${show(shape)}${dtype === 'f32' ? '' : ` ${dtype}`}`

const scanTime = (
  sequence: unknown,
  initial: unknown,
  step: UntypedStep,
  options: ScanOptions,
): readonly [unknown, unknown] => {
  let form: unknown
  const [last, stacks] = scanned(
    flattened('the sequence', sequence),
    flattened('the state', initial),
    (state, element) => {
      const [next, results] = step(unflattened(initial, state), unflattened(sequence, element))
      form = results
      return [flattened('the state', next), flattened('the results', results)]
    },
    options,
  )
  return [unflattened(initial, last), unflattened(form, stacks)]
}

/** The untyped scan over time, from lists of sequences and states to the last states and the stacked results. */
export const scanned = (
  sequences: readonly Node[],
  states: readonly Node[],
  step: (states: readonly Node[], elements: readonly Node[]) => readonly [readonly Node[], readonly Node[]],
  { axis = 0, reverse = false }: ScanOptions,
): readonly [readonly Node[], readonly Node[]] => {
  const [first] = sequences
  if (first === undefined) throw new ShapeMismatch('scan: there is no sequence to go through')
  const count = first.shape[along(axis, first.shape)]!
  const stacks = sequences.map(x => {
    const at = along(axis, x.shape)
    if (x.shape[at] !== count) throw new ShapeMismatch(unequal(axis))
    return toFront(x, at)
  })
  const carried = states.map(like)
  const elements = stacks.map(({ shape, dtype }) => placeholder(shape.slice(1), dtype))
  const [next, results] = step(carried, elements)
  if (next.length !== states.length)
    throw new ShapeMismatch(`scan: a step receives a state of ${states.length} tensors and returns ${next.length}`)
  states.forEach((state, i) => {
    if (described(next[i]!) !== described(state))
      throw new ShapeMismatch(`scan: a step turns the state ${described(state)} into ${described(next[i]!)}`)
  })
  const outputs = [...next, ...results]
  const outer = outsideOf(outputs, [...carried, ...elements])
  const shared = outer.map(like)
  const block: Block = {
    name: 'step',
    parameters: [...carried, ...elements, ...shared],
    outputs: substitute(outputs, new Map(outer.map((n, i) => [n, shared[i]!]))),
  }
  const feeds = [
    ...carried.map((_, output): Feed => ({ kind: 'carried', output })),
    ...elements.map((): Feed => ({ kind: 'layered' })),
    ...shared.map((): Feed => ({ kind: 'shared' })),
  ]
  const made = looped({ block, count, feeds, reverse }, [...states, ...stacks, ...outer])
  return [made.slice(0, states.length), made.slice(states.length).map(x => fromFront(x, along(axis, x.shape)))]
}

/** The outermost values, except for constants, that a step reads and that are the same in every step. */
const outsideOf = (outputs: readonly Node[], own: readonly Node[]): readonly Node[] => {
  const inside = followersOf(outputs, own)
  const order = topological(outputs)
  const fromLeaves = followersOf(
    outputs,
    order.filter(n => n.op === placeholderOp && !inside.has(n)),
  )
  const read = new Set([...outputs, ...order.flatMap(n => (inside.has(n) ? n.inputs : []))])
  return order.filter(n => read.has(n) && !inside.has(n) && fromLeaves.has(n))
}
