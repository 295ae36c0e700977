import { count, deduplicated, placeholder, substitute, type Block, type Dim, type Node } from '../../tensor/index.ts'
import { mapBlocks } from '../blocks.ts'
import { chunked, mapChunks } from '../chunk/index.ts'
import { fused } from '../fuse/fuse.ts'
import type { Program } from '../pipeline.ts'
import type { Programs, Size } from '../step-programs.ts'
import { outlined } from './outline.ts'
import { rolled, type Root } from './roll.ts'
import { bufferFamilies, familiesOf, type Variable, type Variables } from './variables.ts'

/** The options for making programs for a target that runs each as a whole. */
export interface WholeOptions {
  readonly size: Size
  /** Tests whether the size of a dim is fixed when the program is written. */
  readonly isStaticDim: (dim: Dim) => boolean
  readonly fuse: boolean
  /** Tests for nodes that may be in a kernel; see `Fusing`. */
  readonly fusible?: (n: Node) => boolean
  /** The bytes from which a value is computed in pieces, and the rows of a piece; without it, none is. */
  readonly chunk?: { readonly largest: number; readonly rows: number }
  readonly hvp?: boolean
}

/** A step's programs in terms of variables: equal layers are one loop. */
export interface WholePrograms {
  readonly variables: Variables
  readonly initial: () => readonly (readonly [Variable, Node])[]
  readonly gradients: () => Differentiated
  /** The limits on recomputation at which the gradients are computed in another way. */
  readonly limits: () => readonly number[]
  /** The Hessian times tangents, which are read from the variables of summed gradients; undefined unless enabled. */
  readonly hvp: (() => Differentiated) | undefined
  /** The norm of the gradient, and the replacement of each variable; both read the gradients' variables. */
  readonly apply: () => { readonly norm: Node; readonly replaced: readonly (readonly [Variable, Node])[] }
  /** (loss sum, count, sum and count of each metric) */
  readonly evaluate: () => readonly Node[]
  /** The leaves of the outputs. */
  readonly predict: () => readonly Node[]
  /**
   * Generation, if the model defines it: the caches are variables of their own, which a caller passes in and receives
   * back.
   */
  readonly decode: (() => Decoding) | undefined
}

/** A loss, with the next buffers, and the new value of each gradient variable. */
export interface Differentiated {
  readonly sum: Node
  readonly count: Node
  readonly buffers: readonly Node[]
  readonly gradients: readonly (readonly [Variable, Node])[]
}

export interface Decoding {
  readonly logits: Node
  readonly caches: readonly (readonly [Variable, Node])[]
  readonly tokens: Node
  readonly position: Node
  readonly buffers: Programs['buffers']
}

/** The most numbers of a value whose kernel takes less time than its call. */
const smallest = 2 ** 13
/** The rows that are updated at once: a few megabytes. */
const updatedRows = 2048

/**
 * The programs of a step, with layers rolled into loops, elementwise ops fused, and the largest values computed in
 * pieces.
 */
export const wholePrograms = (
  programs: Programs,
  variables: Variables,
  { size, isStaticDim, fuse, fusible = () => true, chunk, hvp = false }: WholeOptions,
): WholePrograms => {
  const families = [...familiesOf(variables), ...bufferFamilies(programs.buffers)]
  const kernels = new Map<string, Block>()
  // what follows from scalars alone is read by all
  const isSmall = ({ shape }: Node): boolean =>
    shape.length > 0 && shape.every(isStaticDim) && count(shape.map(size)) <= smallest
  const fusing = (roots: readonly Node[]): readonly Node[] =>
    fuse ? fused(roots, { isStaticDim, fusible, isSmall, blocks: kernels }) : roots
  /** Fuses inside blocks first: loops are made of blocks, and the nodes between them are fused last. */
  const inBlocks = (roots: readonly Node[]): readonly Node[] =>
    mapBlocks(roots, block => ({ ...block, outputs: fusing(block.outputs) }))
  const finished = (roots: readonly Root[]): readonly Node[] => deduplicated(fusing(rolled(roots, families)))
  /** The update of a leaf that belongs to no layer, in pieces that are written in place. */
  const updatedInPieces = (roots: readonly Node[]): readonly Node[] =>
    chunk
      ? mapChunks(chunked(roots, { size, largest: chunk.largest, rows: updatedRows, results: true }), block => ({
          ...block,
          outputs: fusing(block.outputs),
        }))
      : roots
  const inPieces = (roots: readonly Node[]): readonly Node[] => (chunk ? chunked(roots, { size, ...chunk }) : roots)
  const rootOf = (variable: Variable, at: (leaf: Node) => Node): Root =>
    variable.family ? variable.leaves.map(at) : at(variable.leaves[0]!)
  /**
   * The variables that a program gives new values, in the order of the variables; some layers of a stack may stay
   * unchanged.
   */
  const perVariable = (
    roots: readonly Node[],
    of: readonly Variable[],
    leaves: readonly Node[],
    singles: readonly Node[],
  ) => {
    const at = new Map(leaves.map((leaf, i) => [leaf, roots[i]!]))
    const given = of.filter(variable => variable.leaves.some(leaf => at.has(leaf)))
    const nodes = finished([...singles, ...given.map(variable => rootOf(variable, leaf => at.get(leaf) ?? leaf))])
    return {
      singles: nodes.slice(0, singles.length),
      replaced: given.map((variable, i): readonly [Variable, Node] => [variable, nodes[singles.length + i]!]),
    }
  }
  /** `updated` are how many outputs after the sum and the count are buffers. */
  const differentiated = ({ outputs }: Program, updated = 0): Differentiated => {
    const made = inBlocks(inPieces(outputs))
    const own = 2 + updated
    const { singles, replaced } = perVariable(
      made.slice(own),
      variables.gradients,
      programs.gradient,
      made.slice(0, own),
    )
    const [sum, count, ...buffers] = singles
    return { sum: sum!, count: count!, buffers, gradients: replaced }
  }
  const ofLoss = once(() => programs.gradients(size))
  return {
    variables,
    limits: () => ofLoss().limits,
    initial: () =>
      perVariable(
        outlined(programs.initial(size).outputs, families),
        variables.state,
        programs.state.map(([, leaf]) => leaf),
        [],
      ).replaced,
    gradients: once(() => differentiated(ofLoss(), programs.buffers.length)),
    hvp: hvp ? () => differentiated(programs.hvp(size)) : undefined,
    apply: once(() => {
      const {
        outputs: [norm, ...rest],
        replaced: leaves,
      } = programs.apply(size)
      // the norm comes before the update, which is given it: each is computed by itself, so that neither repeats the
      // other's work
      const given = placeholder(norm!.shape, norm!.dtype)
      const made = inBlocks(outlined(substitute(rest, new Map([[norm!, given]])), families))
      const { replaced } = perVariable(
        updatedInPieces(made),
        [...variables.params, ...variables.parts, ...variables.state],
        leaves,
        [],
      )
      const [own] = finished(inBlocks(outlined([norm!], families)))
      const next = substitute(
        replaced.map(([, node]) => node),
        new Map([[given, own!]]),
      )
      return { norm: own!, replaced: replaced.map(([variable], i) => [variable, next[i]!]) }
    }),
    evaluate: () => finished(inBlocks(inPieces(programs.evaluate(size).outputs))),
    predict: () => finished(inBlocks(programs.predict(size).outputs)),
    decode:
      programs.decode &&
      (() => {
        const { outputs, cache, ...read } = programs.decode!(size)
        const [logits, ...next] = inBlocks(outputs)
        const { caches } = variables
        const found = perVariable(next, caches, cache, [logits!])
        return {
          logits: found.singles[0]!,
          caches: found.replaced,
          tokens: read.tokens,
          position: read.position,
          buffers: read.buffers,
        }
      }),
  }
}

/** A program that is made on first use. */
const once = <A>(make: () => A): (() => A) => {
  let made: { readonly value: A } | undefined
  return () => (made ??= { value: make() }).value
}
