import type { Either } from '../either/index.ts'
import type { Autograd } from './autograd.ts'
import type { Dim, Shape } from './shape/dim.ts'
import type { DType } from './value.ts'

/** Float64 data: the operands and result of an op's `eval`, whatever the dtype. */
export interface Numbers {
  readonly sizes: readonly number[]
  readonly data: Float64Array
}

/** The shape and dtype of a result. */
export interface Signature {
  readonly shape: Shape
  readonly dtype: DType
}

/**
 * The sizes that `misfit`, `eval` and `flops` may read: those of the result, that of any dim, and the declarations of
 * the inputs.
 */
export interface Bound {
  readonly sizes: readonly number[]
  readonly size: (dim: Dim) => number
  readonly inputs: readonly Signature[]
}

/**
 * The way in which a result follows from its operands:
 * - `elementwise`: a number from the numbers at its place, with broadcasting; so it commutes with transposes and takes;
 * - `rows`: a row, along the last axis of the first operand, from that row of each operand that has it;
 * - `reduction`: one number from all along the axes that the attributes name;
 * - `movement`: every number is an operand's, or a constant: nothing is computed;
 * - `source`: numbers from the attributes alone;
 * - `other`.
 */
export type Kind = 'elementwise' | 'rows' | 'reduction' | 'movement' | 'source' | 'other'

/** For each input, the axis along which it is cut, or undefined if it stays whole. */
export type Along = readonly (number | undefined)[]

/**
 * The condition under which a backward pass may recompute a result instead of keeping it: always; if that takes few
 * operations for each byte; or if it consists of weights alone.
 */
export type Cheap = boolean | 'weighed' | 'of weights'

/**
 * An op, defined once: its shape rule, its meaning in float64, its vector-Jacobian product, its cost, and how its
 * result follows from its operands, which is all that the compiler knows about it. A composite also has its expansion;
 * each target's table specifies how the target runs an op. The members are methods, not function fields, so that
 * `Op<A>` is an `Op`.
 */
export interface Op<A = unknown> {
  readonly name: string
  /** The signature of the result, or the text of the error. */
  shape(inputs: readonly Node[], attributes: A): Either<string, Signature>
  /**
   * The reason why an application does not fit the sizes that its dims are bound to, if it does not: the checks that
   * the shape rule must leave open while a dim is a name. {@link fitsByShape} if there are none. No program runs before
   * all of its nodes fit.
   */
  misfit(inputs: readonly (readonly number[])[], attributes: A, bound: Bound): string | undefined
  /** The meaning: the oracle for every other facet. */
  eval(inputs: readonly Numbers[], attributes: A, bound: Bound): Numbers
  /** Cotangents of the inputs, `undefined` if an input is not differentiable. */
  vjp(node: NodeOf<A>, cotangent: Node): readonly (Node | undefined)[]
  /** Floating-point operations of one evaluation. */
  flops(inputs: readonly (readonly number[])[], attributes: A, bound: Bound): number
  readonly kind: Kind
  /**
   * For an axis of the result, the axis of each input that runs along it: rows of the result follow from those rows.
   * `undefined` if they do not, or the op is computed in one piece.
   */
  along(node: NodeOf<A>, axis: number): Along | undefined
  /** If the result is a sum over an axis of an input: the axis of each input that runs along that one. */
  summedAlong?(node: NodeOf<A>, input: number, axis: number): Along | undefined
  /** All dims in the attributes: the result may depend on their sizes. */
  dims(attributes: A): Shape
  /** True if the result, as a function of its float32 inputs, has a continuous derivative. */
  smooth(node: NodeOf<A>): boolean
  /** The inputs that are indices, by number, and the dim that each must lie within; other indices are refused. */
  indices?(inputs: readonly Node[], attributes: A): readonly { readonly index: number; readonly within: Dim }[]
  /** For a composite: the same in terms of other ops. */
  expand?(inputs: readonly Node[], attributes: A): Node
  /** The condition under which recomputing the result is cheaper than keeping it (default: never). */
  readonly cheap?: Cheap
  /**
   * True if the result is much larger than its inputs: it is never computed once and held, even if nothing in it
   * changes.
   */
  readonly unpacks?: boolean
  /**
   * For a loss of rows: the least upper bound of the spectral norm of a row's Hessian with respect to its first input.
   * A row is an element if the result has the first input's rank, and a slice along the last axis if it has one axis
   * less.
   */
  readonly curvature?: number
  /**
   * The tensors that PyTorch keeps of an application for its backward pass. An op without a gradient has none; of a composite
   * without it, those that its expansion keeps.
   */
  readonly autograd?: Autograd<NodeOf<A>>
  /** For an op with several results, which `result` reads: their signatures and their meaning. */
  readonly several?: Several<A>
}

/** The members are methods here too, so that `Several<A>` is a `Several`. */
export interface Several<A = unknown> {
  signatures(attributes: A): readonly Signature[]
  eval(inputs: readonly Numbers[], attributes: A, size: (dim: Dim) => number): readonly Numbers[]
}

/** The `misfit` of an op whose shape rule leaves nothing open: equal names have equal sizes. */
export const fitsByShape = (): undefined => undefined

/** An immutable node of an expression. */
export interface NodeOf<A = unknown> extends Signature {
  readonly op: Op<A>
  readonly attributes: A
  readonly inputs: readonly Node[]
}
export type Node = NodeOf

/**
 * A symbolic tensor: a node whose shape and dtype are known to the type checker. It is invariant in its shape;
 * otherwise a mismatch would infer the union `'hidden' | 'ffn'` and pass.
 */
export interface Tensor<in out S extends Shape, in out D extends DType = 'f32'> extends Node {
  readonly shape: S
  readonly dtype: D
}

/**
 * A shape rule broken at run time, thrown when the expression is built; `tsc` prints the same text if the shapes are
 * known.
 * @example if (error instanceof ShapeMismatch) console.error(error.message)
 */
export class ShapeMismatch extends Error {
  override readonly name = 'ShapeMismatch'
}
/** The result of a shape rule. @throws {ShapeMismatch} with its text */
export const ruled = <A>(rule: Either<string, A>): A => {
  if (rule._tag === 'Left') throw new ShapeMismatch(rule.left)
  return rule.right
}

/** The mark of a node: other objects may have an op and inputs too. */
const brand = Symbol('node')
/** True for the nodes of the language. */
export const isNode = (candidate: unknown): candidate is Node =>
  typeof candidate === 'object' && candidate !== null && brand in candidate

/** Thrown if data are not valid operands of an op, such as an index beyond a dim. */
export class DataMismatch extends Error {
  override readonly name = 'DataMismatch'
}

/** Makes a node, or throws {@link ShapeMismatch} with the text of the op's shape rule. */
export const node = <A>(op: Op<A>, inputs: readonly Node[], attributes: A): NodeOf<A> => {
  const signature = ruled(op.shape(inputs, attributes))
  const made: NodeOf<A> & { readonly [brand]: true } = { [brand]: true, op, attributes, inputs, ...signature }
  return made
}

/** True if the node is an application of the op; narrows its attributes. */
export const is = <A>(candidate: Node, op: Op<A>): candidate is NodeOf<A> => candidate.op === op

/** The same op and attributes on other inputs; the node itself if nothing changes. */
export const withInputs = (old: Node, inputs: readonly Node[]): Node =>
  inputs.every((input, i) => input === old.inputs[i])
    ? old
    : inputs.length === old.inputs.length && inputs.every((input, i) => hasSignatureOf(input, old.inputs[i]!))
      ? // the shape rule has accepted operands of these shapes
        { ...old, inputs }
      : node(old.op, inputs, old.attributes)

/** Tests for nodes of one shape and dtype; several results have the signatures that their op gives them. */
const hasSignatureOf = (a: Node, b: Node): boolean =>
  a === b ||
  (a.dtype === b.dtype &&
    a.op.several === undefined &&
    b.op.several === undefined &&
    a.shape.length === b.shape.length &&
    a.shape.every((dim, axis) => dim === b.shape[axis]))

/**
 * Gives a node the type that its shape rule computes. This is the only place where a node becomes a `Tensor`: the type
 * checker cannot follow a value-level shape, and the tests compare the type-level rule with the value-level rule.
 */
export const typed = <S extends Shape, D extends DType>(untyped: Node): Tensor<S, D> => untyped as Tensor<S, D>

/**
 * Every node that the roots need, inputs before users, without recursion. `isGiven` tests for nodes whose inputs are not
 * needed.
 */
export const topological = (roots: readonly Node[], isGiven: (n: Node) => boolean = () => false): readonly Node[] => {
  const done = new Set<Node>()
  const order: Node[] = []
  // the nodes from a root to the present one, and for each the place of the input that comes next
  const path: Node[] = []
  const next: number[] = []
  for (const root of roots) {
    if (done.has(root)) continue
    path.push(root)
    next.push(isGiven(root) ? root.inputs.length : 0)
    while (path.length > 0) {
      const last = path.length - 1
      const top = path[last]!
      const input = top.inputs[next[last]!++]
      if (input === undefined) {
        path.pop()
        next.pop()
        done.add(top)
        order.push(top)
      } else if (!done.has(input)) {
        path.push(input)
        next.push(isGiven(input) ? input.inputs.length : 0)
      }
    }
  }
  return order
}

/**
 * Rebuilds an expression from its leaves up: `change` receives each node with its inputs already rebuilt. Nothing below
 * a given node is rebuilt.
 */
export const rebuild = (
  roots: readonly Node[],
  change: (rebuilt: Node, old: Node) => Node,
  isGiven?: (n: Node) => boolean,
): ((old: Node) => Node) => {
  const made = new Map<Node, Node>()
  const get = (old: Node): Node => made.get(old) ?? old
  for (const old of topological(roots, isGiven)) {
    const next = change(old.inputs.some(input => made.has(input)) ? withInputs(old, old.inputs.map(get)) : old, old)
    if (next !== old) made.set(old, next)
  }
  return get
}

/** Replaces some nodes by others. */
export const substitute = (roots: readonly Node[], replacements: ReadonlyMap<Node, Node>): readonly Node[] =>
  roots.map(
    rebuild(
      roots,
      (rebuilt, old) => replacements.get(old) ?? rebuilt,
      n => replacements.has(n),
    ),
  )
