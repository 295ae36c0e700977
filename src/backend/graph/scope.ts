import type { Dim, Node } from '../../tensor/index.ts'
import type { Anchor, Body, Ref } from './body.ts'
import { layerOf, readAll, restOfShape, type Resource } from './held.ts'
import type { Library } from './library.ts'
import type { GraphLowerings } from './lowering.ts'
import { sizesIn, type Size } from './sizes.ts'
import type { FloatType, GraphType } from './types.ts'

/** The context that all programs of a graph share. */
export interface Writing {
  readonly library: Library
  readonly lowerings: GraphLowerings
  /** The variable that a placeholder stands for. */
  readonly resourceOf: (placeholder: Node) => Resource | undefined
  /** The size of a name, if it is known when the graph is written. */
  readonly sizeOf: (name: string) => number | undefined
  /** The other names: their sizes are passed along, in this order. */
  readonly dynamic: readonly string[]
  /** True if XLA compiles fused blocks; otherwise their ops run one by one. */
  readonly xla: boolean
}

/** The types in which a program computes and stores values. */
export interface Precision {
  readonly compute: FloatType
  /** The type in which a value is kept. */
  readonly stored: (n: Node) => GraphType
}

/**
 * A stack in a graph: a list of tensors; a pile, from which the last tensor is popped, so that its memory is freed; or
 * a variable. The inputs of a While live until its end, and so do the elements of a list.
 */
export interface Stack {
  readonly list?: Ref
  readonly pile?: Ref
  readonly resource?: Resource
  readonly element: GraphType
  /**
   * The number of the first layer, for some layers of a list or a variable. Such layers are also available as a tensor.
   */
  readonly from?: number
}
/** Results that are written into variables in place: by the loop that computes them, and the index of the result. */
export type Sinks = ReadonlyMap<Node, ReadonlyMap<number, Sink>>
/** The variable, and its layer that corresponds to the loop's first layer. */
export interface Sink {
  readonly resource: Resource
  readonly from: number
}

/** The state of writing a program into a body. */
export interface Scope {
  readonly body: Body
  readonly sizes: readonly Ref[]
  readonly writing: Writing
  readonly precision: Precision
  /** The stacks that are represented by a handle instead of a tensor. */
  readonly stacks: Map<string, Stack>
  /** The parameters of a loop's body that the previous turn computed; the others exist from the start. */
  readonly carried?: ReadonlySet<Node>
  /** The nodes that read or write variables, in order. */
  readonly readers: Anchor[]
}

export const scopeIn = (body: Body, sizes: readonly Ref[], writing: Writing, precision: Precision): Scope => ({
  body,
  sizes,
  writing,
  precision,
  stacks: new Map(),
  readers: [],
})

/** The size of a dim in a scope. */
export const sizeIn = ({ body, sizes, writing }: Scope): ((dim: Dim) => Size) =>
  sizesIn(body, name => {
    const known = writing.sizeOf(name)
    const at = writing.dynamic.indexOf(name)
    if (known !== undefined) return known
    if (at < 0) throw new Error(`the graph does not know the size of ${name}`)
    return sizes[at]!
  })

export const anyShape = (body: Body): Ref => body.constant(-1, 'i32')

/** A stack behind a handle, for loops to read layer by layer. */
export const asList = ({ body, stacks, precision }: Scope, x: Ref, n: Node): Ref => {
  if (stacks.has(x.text)) return x
  const list = body.apply('TensorListFromTensor', [body.cast(x, precision.stored(n)), restOfShape(body, x)])
  stacks.set(list.text, { list, element: precision.stored(n) })
  return list
}

/** The tensor behind a handle. */
export const materialised = ({ body, stacks, readers }: Scope, x: Ref): Ref => {
  const stack = stacks.get(x.text)
  if (stack === undefined || stack.from !== undefined) return x
  if (stack.list)
    return body.apply('TensorListStack', [stack.list, anyShape(body)], { element_dtype: { type: stack.element } })
  const read = readAll(body, stack.resource!)
  readers.push(read)
  return read
}

/** Results that leave their scope, such as those of a function: tensors in the types in which they are stored. */
export const leaving = (scope: Scope, nodes: readonly Node[], results: readonly Ref[]): readonly Ref[] =>
  results.map((x, i) =>
    scope.stacks.has(x.text) ? scope.body.cast(materialised(scope, x), scope.precision.stored(nodes[i]!)) : x,
  )

/** One layer of a stack behind a handle. */
export const elementOf = (
  { body, readers }: Scope,
  { list, pile, resource, element, from = 0 }: Stack,
  layer: Ref,
): Ref => {
  if (pile) return body.apply('StackPopV2', [pile], { elem_type: { type: element } })
  const at = from === 0 ? layer : body.apply('AddV2', [layer, body.constant(from, 'i32')])
  if (list) return body.apply('TensorListGetItem', [list, at, anyShape(body)], { element_dtype: { type: element } })
  const read = readAll(body, resource!)
  readers.push(read)
  return layerOf(body, read, at)
}

/** Writes expressions into a scope, given the values of some nodes. */
export type Write = (
  scope: Scope,
  roots: readonly Node[],
  given: ReadonlyMap<Node, Ref>,
  sinks?: Sinks,
) => readonly Ref[]
