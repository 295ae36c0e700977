import { is, resultOp, walk, type composites, type Dim, type Node, type primitives } from '../../tensor/index.ts'
import type { Body, Ref } from './body.ts'
import type { Size } from './sizes.ts'
import type { FloatType, GraphType } from './types.ts'

/** The place where nodes are written, with its context. */
export interface Place {
  readonly body: Body
  readonly size: (dim: Dim) => Size
  /** The type of products. */
  readonly compute: FloatType
  /** Runs a few elementwise ops and reductions as one kernel, if something compiles them. */
  readonly kernel?: Kernel
  /** True if XLA compiles the nodes: its maximum ignores NaN. */
  readonly compiled?: boolean
  /** Wraps the lowering of every node: it determines how inputs are read and how the result is stored. */
  readonly around?: (lowering: GraphLowering) => GraphLowering
}
export type Kernel = (name: string, inputs: readonly Ref[], write: (body: Body, inputs: readonly Ref[]) => Ref) => Ref

/** The context of the lowering of one node. */
export interface Emit extends Place {
  /** The value in another type, converted once for one node of the language. */
  readonly cast: (x: Ref, type: GraphType) => Ref
  /** The value written for a node, if there is one: an op may look beyond its own inputs. */
  readonly valueOf: (n: Node) => Ref | undefined
  /** Writes another expression of the node's inputs, given their values. */
  readonly expand: (expression: Node, inputs: readonly Ref[]) => Ref
}

/**
 * Writes an op as TensorFlow nodes and returns its result. Elementwise ops and reductions compute in f32, products in
 * the type that `emit` specifies; ops that only move data keep its type. The caller decides in which type a result is
 * stored.
 */
export type GraphLowering = (node: Node, inputs: readonly Ref[], emit: Emit) => Ref
/** A lowering for every primitive: a missing entry is a compile error. A composite without one is expanded. */
export type GraphLowerings = { readonly [K in keyof typeof primitives]: GraphLowering } & {
  readonly [K in keyof typeof composites]?: GraphLowering
}

/** Writes ops with several results, such as calls; `undefined` if it does not know the op. */
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

/** The same, sharing the conversions of the node that is being expanded. */
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
      const lowering = Object.hasOwn(lowerings, n.op.name) ? lowerings[n.op.name as keyof GraphLowerings] : undefined
      values.set(
        n,
        lowering === undefined
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
