import { is, resultOp, walk, type composites, type Dim, type Node, type primitives } from '../../tensor/index.ts'
import type { Body, Ref } from './body.ts'
import type { Size } from './sizes.ts'
import type { FloatType, GraphType } from './types.ts'

/** Where nodes are written, and what is known there. */
export interface Place {
  readonly body: Body
  readonly size: (dim: Dim) => Size
  /** The type that products are computed in. */
  readonly compute: FloatType
  /** Runs a few elementwise ops and reductions as one kernel, where there is something that compiles them. */
  readonly kernel?: Kernel
  /** True where XLA compiles what is written: its maximum passes over a NaN. */
  readonly compiled?: boolean
  /** What is done around the lowering of every node: what its inputs are read from, and how its result is stored. */
  readonly around?: (lowering: GraphLowering) => GraphLowering
}
export type Kernel = (name: string, inputs: readonly Ref[], write: (body: Body, inputs: readonly Ref[]) => Ref) => Ref

/** What the lowering of a node uses. */
export interface Emit extends Place {
  /** The value in another type, converted once for one node of the language. */
  readonly cast: (x: Ref, type: GraphType) => Ref
  /** What was written for a node, if it was: an op may see more than its own inputs. */
  readonly valueOf: (n: Node) => Ref | undefined
  /** Writes another expression of the node's inputs, whose values are given. */
  readonly expand: (expression: Node, inputs: readonly Ref[]) => Ref
}

/**
 * Writes an op as TensorFlow nodes and returns its result. Elementwise ops and reductions compute in f32, products in
 * the type that `emit` says; what only moves data keeps its type. In what type a result is stored is the caller's to
 * say.
 */
export type GraphLowering = (node: Node, inputs: readonly Ref[], emit: Emit) => Ref
/** How a graph has every op: a missing entry is a compile error. A composite may be expanded instead. */
export type GraphLowerings = { readonly [K in keyof typeof primitives]: GraphLowering } & {
  readonly [K in keyof typeof composites]: GraphLowering | 'expand'
}

/** Writes ops that have several results, such as calls; `undefined` where it does not know the op. */
export type Several = (node: Node, inputs: readonly Ref[]) => readonly Ref[] | undefined

const castingOnce = (body: Body): Emit['cast'] => {
  const done = new Map<string, Ref>()
  return (x, type) => {
    const key = `${x.text} ${type}`
    const made = done.get(key) ?? body.cast(x, type)
    done.set(key, made)
    return made
  }
}

/**
 * Writes expressions, given the values of some of their nodes, and returns the values of the roots.
 * @example const [y] = lowered(lowerings, [root], new Map([[x, ref]]), { body, size, compute: 'f32' })
 */
export const lowered = (
  lowerings: GraphLowerings,
  roots: readonly Node[],
  given: ReadonlyMap<Node, Ref>,
  place: Place,
  several: Several = () => undefined,
): readonly Ref[] => write(lowerings, roots, given, place, several)

/** The same, with the conversions of the node that is being expanded. */
const write = (
  lowerings: GraphLowerings,
  roots: readonly Node[],
  given: ReadonlyMap<Node, Ref>,
  place: Place,
  several: Several,
  cast?: Emit['cast'],
): readonly Ref[] => {
  const values = new Map(given)
  const results = new Map<Node, readonly Ref[]>()
  const unknown = (n: Node): never => {
    throw new Error(`a graph cannot run ${n.op.name}`)
  }
  for (const n of walk(roots, new Set(given.keys()))) {
    if (values.has(n)) continue
    const inputs = n.inputs.map(input => values.get(input)!)
    const castHere = cast ?? castingOnce(place.body)
    const expand: Emit['expand'] = (expression, of) =>
      write(lowerings, [expression], new Map(n.inputs.map((input, i) => [input, of[i]!])), place, several, castHere)[0]!
    if (n.op.several) results.set(n, several(n, inputs) ?? unknown(n))
    else if (is(n, resultOp)) values.set(n, results.get(n.inputs[0]!)![n.attributes.index]!)
    else {
      const lowering = Object.hasOwn(lowerings, n.op.name) ? lowerings[n.op.name as keyof GraphLowerings] : 'expand'
      values.set(
        n,
        lowering === 'expand'
          ? expand(n.op.expand?.(n.inputs, n.attributes) ?? unknown(n), inputs)
          : (place.around?.(lowering) ?? lowering)(n, inputs, {
              ...place,
              cast: castHere,
              expand,
              valueOf: other => values.get(other),
            }),
      )
    }
  }
  return roots.map(root => values.get(root)!)
}
