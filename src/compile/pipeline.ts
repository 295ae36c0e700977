import {
  alongGradient,
  bytesPerElement,
  count,
  gradients,
  is,
  placeholderOp,
  putOp,
  scalar,
  deduplicated,
  substitute,
  topological,
  transposeOp,
  u,
  type Block,
  type Dim,
  type Node,
  type Partition,
  type Wanted,
} from '../tensor/index.ts'
import { checkFits } from './bind.ts'
import { callsOf, mapBlocks, staticParameters } from './blocks.ts'
import { chunked, inCalls, type Chunking } from './chunk/index.ts'
import { rewriteEverywhere, weightsIn } from './everywhere.ts'
import { flopsAt } from './flops.ts'
import { planOf, type InPlace, type Plan } from './plan.ts'
import { dependsOnlyOn, prepare, staticNodes, type Preparations } from './prepare.ts'
import {
  checkDropout,
  dropInput,
  dropTrained,
  expansion,
  keepInput,
  keepTrained,
  laidOut,
  layoutRules,
  movementRules,
  rewrite,
  simplifications,
  stopGradientValue,
  takeOtherwise,
  takeRules,
  takeTraining,
  weightRules,
  type Rule,
} from './rewrite/index.ts'
import { separate } from './separate.ts'
import { unrolled } from './unroll.ts'

/** The facts about a target that the compiler needs. */
export interface Traits {
  /** Lays products out for matrix kernels. */
  readonly layOut: boolean
  /** Tests whether the target runs an op directly, by name; a composite that it does not run is expanded. */
  readonly runs: (op: string) => boolean
  /** The inputs whose buffers the target can write to. */
  readonly inPlace: InPlace
  /** Tests for elementwise nodes that the target can run in one pass with their neighbours. */
  readonly isStep?: (n: Node) => boolean
  /** True if values that depend on weights alone are computed where they are used, not computed once and held. */
  readonly unprepared?: boolean
  /** True if trained rows are held separately from their leaf, in full precision. */
  readonly holdsParts?: boolean
  /**
   * The most operations, for each byte that need not be kept, for which a result that is `weighed`, such as a product
   * or a softmax of one, is recomputed in the backward pass.
   */
  readonly recomputeProducts?: number
  /** True if layers are kept alike, so that a loop can go through them; see `Partition`. */
  readonly alike?: boolean
  /**
   * True if programs are made before the sizes of batches are known, with assumed sizes: the binding of the actual
   * sizes checks that they fit.
   */
  readonly unbound?: boolean
  /**
   * The bytes from which a value of a loss or its gradients, such as logits, is computed in pieces, and the rows of a
   * piece; without it, none is. A target that runs loops itself does so too with pieces, after layers have become loops.
   */
  readonly chunk?: Pick<Chunking, 'largest' | 'rows'>
  /** True if the target runs loops over time itself; for others they are written as one call for each step. */
  readonly loops?: boolean
}

/** Options of the compiler in addition to the target's traits. */
export interface CompilerOptions {
  /** The values that a backward pass recomputes; see `Partition`. */
  readonly recompute?: Partition['recompute'] | undefined
  /**
   * Rules that are switched off, by name, in order to measure the effect of each; and `chunk`. On the graph target also
   * `fuse` and `xla`.
   */
  readonly without?: readonly string[]
  /**
   * Enables Hessian-vector products in a graph, whose programs are fixed when it is made. Other targets always support
   * them.
   */
  readonly hvp?: boolean
}

/** The state that a session shares between its programs. */
export interface Compiler extends Traits, CompilerOptions {
  readonly size: (dim: Dim) => number
  /** Tests for leaves that do not change while a program runs. */
  readonly isStaticLeaf: (n: Node) => boolean
  /** Tests for static leaves with a trained part: values that depend on them are recomputed after an update. */
  readonly isTrainedLeaf?: (n: Node) => boolean
  /** Tests for dims whose sizes the weights fix, and no batch. */
  readonly isOwnDim?: (dim: Dim) => boolean
  /** True if only products are laid out, and no permutation moves: programs write to the buffers of their inputs. */
  readonly inOrder?: boolean
  readonly keyOf: (n: Node) => string
  readonly preparations: Preparations
}

/** A program in its final form: its inputs, its outputs and its list of instructions. */
export interface Program {
  readonly inputs: readonly Node[]
  readonly outputs: readonly Node[]
  readonly plan: Plan
  /** The limits on recomputation at which its gradients are computed in another way; see `Partition`. */
  readonly limits: readonly number[]
}

/** The goal of a program in addition to its outputs: gradients, and the inputs that it may use up. */
export interface Goal {
  readonly wanted?: readonly Wanted[]
  readonly cotangents?: readonly Node[]
  /** Directions, in the order of `wanted`: the Hessian times them replaces the gradients. */
  readonly tangents?: readonly Node[]
  readonly donated?: ReadonlySet<Node>
  /** True if the outputs are those of a training step; by default, if gradients are wanted. */
  readonly training?: boolean
  /**
   * The place of the first output that its reader keeps, with a buffer of its own; by default, that of the first
   * gradient.
   */
  readonly keptFrom?: number
  /** True for a loss, perhaps with gradients, whose largest values are computed in pieces; see `Traits`. */
  readonly inPieces?: boolean
}

/** trace → rewrite → differentiate → rewrite → lay out → prepare → plan. */
export const compileProgram = (outputs: readonly Node[], compiler: Compiler, goal: Goal = {}): Program => {
  const { wanted = [], tangents = [], donated = new Set(), training = wanted.length > 0 } = goal
  // in the user's own terms, before rules change the expressions
  if (!compiler.unbound) checkFits(outputs, compiler.size)
  const { size } = compiler
  const isStaticLeaf = compiler.unprepared ? () => false : compiler.isStaticLeaf
  const enabled = (rules: readonly Rule[]): readonly Rule[] =>
    rules.filter(rule => !compiler.without?.includes(rule.name))
  const general = enabled([...simplifications, ...layoutRules, ...takeRules])
  const late = enabled([stopGradientValue, ...general])
  const movement = enabled([...simplifications, ...movementRules])
  // weights that are expressions are decomposed before differentiation
  const first = enabled([
    ...(training ? [dropInput, dropTrained, takeTraining] : [keepInput, keepTrained, takeOtherwise]),
    ...weightRules,
    ...general,
  ])
  const finish = (roots: readonly Node[], isStatic: (n: Node) => boolean): readonly Node[] => {
    const simple = deduplicated(
      rewrite(rewrite(deduplicated(roots), late, { size, isStatic }), [expansion(compiler.runs)], { size, isStatic }),
    )
    if (!compiler.layOut) return simple
    const products = rewrite(simple, [laidOut], { size, isStatic })
    return deduplicated(compiler.inOrder === true ? products : rewrite(products, movement, { size, isStatic }))
  }
  const everywhere = (roots: readonly Node[], rules: readonly Rule[]): readonly Node[] =>
    rewriteEverywhere(roots, rules, compiler)
  const simple = everywhere(deduplicated(outputs), first)
  // the gradient is decomposed like any other program before it is differentiated again
  const simplified =
    tangents.length === 0
      ? simple
      : everywhere(
          deduplicated(
            alongGradient(simple, goal.cotangents ?? [], wanted, tangents, { alike: compiler.alike === true }),
          ),
          late,
        )
  const cotangents = tangents.length === 0 ? (goal.cotangents ?? []) : [scalar(1)]
  if (wanted.length > 0)
    checkDropout([...simplified, ...[...callsOf(simplified).keys()].flatMap(block => block.outputs)])

  // the layout of a block's products depends on which of its parameters are weights
  const known = staticNodes(simplified, isStaticLeaf)
  const flags = staticParameters(simplified, n => known.has(n))
  const finished = new Map<Block, Block>()
  const finishBlock = (block: Block, old: Block): Block => {
    const isStatic = flags.get(old) ?? []
    const next = finished.get(old) ?? {
      ...block,
      outputs: finish(block.outputs, n => isStatic[block.parameters.indexOf(n)] === true),
    }
    finished.set(old, next)
    return next
  }
  const bytes = (n: Node): number => count(n.shape.map(size)) * bytesPerElement[n.dtype]
  const flops = (n: Node): number => flopsAt(n, size)
  const {
    outputs: forward,
    gradients: wantedGradients,
    limits,
  } = wanted.length === 0
    ? { outputs: simplified, gradients: [], limits: [] }
    : gradients(simplified, cotangents, wanted, {
        optimise: (roots, block) => finish(roots, n => flags.get(block)?.[block.parameters.indexOf(n)] === true),
        bytes,
        flops,
        atHand: atHandIn(simplified, compiler),
        alike: compiler.alike === true,
        isCheap: n => isCheap(n, { ...compiler, bytes, flops }),
        ...(compiler.recompute === undefined ? {} : { recompute: compiler.recompute }),
      })
  // a differentiated block has been finished with its gradients; the others are finished here
  const roots = finish([...(tangents.length === 0 ? forward : forward.slice(1)), ...wantedGradients], isStaticLeaf)
  const complete = mapBlocks(roots, (block, old) => (flags.has(old) ? finishBlock(block, old) : block))
  const inPieces = goal.inPieces === true && compiler.without?.includes('chunk') !== true
  const pieces = compiler.chunk && inPieces ? inCalls(chunked(complete, { size, ...compiler.chunk }), size) : complete
  const written = compiler.loops ? pieces : unrolled(pieces, size)
  const ready = deduplicated(compiler.unprepared ? written : preparedTwice(written, compiler))
  const kept = goal.keptFrom ?? ready.length - wanted.length
  return fitted(compiler.unbound ? ready : separate(ready, i => i >= kept), compiler, donated, limits)
}

/**
 * Prepares values that depend on frozen leaves alone first and separately, such as the squares of a weight: an update
 * then recomputes only the rest of its norms. A trained value that is repeated along a batch is computed where it is
 * used: an update knows no batch, and would have to compute the value for every size that ever occurred.
 */
const preparedTwice = (roots: readonly Node[], compiler: Compiler): readonly Node[] => {
  const { isStaticLeaf, isTrainedLeaf = () => false, isOwnDim = () => true, preparations } = compiler
  const isFrozen = (n: Node): boolean => isStaticLeaf(n) && !isTrainedLeaf(n)
  const once = prepare(roots, { ...compiler, isStaticLeaf: isFrozen })
  const lasting = [...preparations.values()].filter(({ expression }) =>
    topological([expression]).every(n => (!is(n, placeholderOp) || isFrozen(n)) && dependsOnlyOn(n, isOwnDim)),
  )
  const held = new Set(lasting.map(({ placeholder }) => placeholder))
  return prepare(once, {
    ...compiler,
    isStaticLeaf: n => isStaticLeaf(n) || held.has(n),
    mayHold: n => dependsOnlyOn(n, isOwnDim),
  })
}

/**
 * The values that both halves of a block have without keeping them: those prepared before the run, and those that
 * follow from weights alone by ops that are cheap or unpack them. A weight is never kept from forward to backward in
 * another form.
 */
const atHandIn = (simplified: readonly Node[], compiler: Pick<Compiler, 'isStaticLeaf' | 'unprepared'>) => {
  const weights = weightsIn(simplified, compiler)
  return (roots: readonly Node[], block: Block): ReadonlySet<Node> => {
    const isWeight = weights(block)
    const found = new Set(compiler.unprepared ? [] : staticNodes(roots, isWeight))
    for (const n of topological(roots)) {
      const isRemade = n.op.cheap === true || n.op.cheap === 'of weights'
      if (is(n, placeholderOp) ? isWeight(n) : isRemade && n.inputs.every(input => found.has(input))) found.add(n)
    }
    return found
  }
}

/** Tests whether a backward pass recomputes a result: attention's probabilities are many bytes that follow from few. */
const isCheap = (
  n: Node,
  {
    bytes,
    flops,
    recomputeProducts = 0,
  }: Pick<Compiler, 'recomputeProducts'> & {
    readonly bytes: (n: Node) => number
    readonly flops: (n: Node) => number
  },
): boolean => (n.op.cheap === 'weighed' ? flops(n) <= recomputeProducts * bytes(n) : n.op.cheap === true)

/** Plans a program whose inputs are the placeholders it reads. */
export const planned = (
  outputs: readonly Node[],
  { size, inPlace, isStep }: Pick<Compiler, 'size' | 'inPlace' | 'isStep'>,
  donated: ReadonlySet<Node> = new Set(),
  limits: readonly number[] = [],
): Program => {
  const read = topological(outputs).filter(n => is(n, placeholderOp))
  const inputs = [...new Set([...read, ...donated])]
  let made: Plan | undefined
  return {
    inputs,
    outputs,
    limits,
    // a target that runs programs as a whole reads no plan
    get plan() {
      return (made ??= planOf({ inputs, outputs, size, donated, inPlace, ...(isStep ? { isStep } : {}) }))
    },
  }
}

/** The same for expressions that fit the sizes of their dims. @throws {DimsError} if they do not */
export const fitted = (
  outputs: readonly Node[],
  compiler: Pick<Compiler, 'size' | 'inPlace' | 'isStep' | 'unbound'>,
  donated?: ReadonlySet<Node>,
  limits?: readonly number[],
): Program => {
  if (!compiler.unbound) checkFits(outputs, compiler.size)
  return planned(outputs, compiler, donated, limits)
}

/**
 * transpose(put(x, i, v)) = put(transpose(x), i, transpose(v)): the other layout of a weight follows an update without
 * being computed again.
 */
const transposePut: Rule = {
  name: 'transpose-put',
  apply: n => {
    const [x] = n.inputs
    if (!is(n, transposeOp) || !is(x!, putOp)) return undefined
    const { permutation } = n.attributes
    const [target, index, values] = x.inputs as [Node, Node, Node]
    return u.put(
      u.transpose(target, permutation),
      index,
      u.transpose(values, permutation),
      permutation.indexOf(x.attributes.axis),
    )
  },
}

/** The new value of a prepared value when leaves change: in terms of the prepared values themselves, if possible. */
export const refreshed = (expression: Node, changes: ReadonlyMap<Node, Node>, compiler: Compiler): Node => {
  const [moved] = rewrite(substitute([expression], changes), [transposePut], {
    size: compiler.size,
    isStatic: () => false,
  })
  // values that depend on the leaves' new values (such as on all gradients by their norm) were not prepared
  const leaves = new Set(topological([expression]).filter(n => is(n, placeholderOp)))
  const order = topological([moved!])
  const asBefore = new Set<Node>()
  for (const n of order)
    if (is(n, placeholderOp) ? leaves.has(n) : n.inputs.every(input => asBefore.has(input))) asBefore.add(n)
  const held = order.flatMap((n): readonly (readonly [Node, Node])[] => {
    const prepared = is(n, placeholderOp) || !asBefore.has(n) ? undefined : compiler.preparations.get(compiler.keyOf(n))
    return prepared ? [[n, prepared.placeholder]] : []
  })
  return substitute([moved!], new Map(held))[0]!
}
