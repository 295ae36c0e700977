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
import { callsOf, mapBlocks, staticParameters, withoutUnread } from './blocks.ts'
import { planOf, type InPlace, type Plan } from './plan.ts'
import { dependsOnlyOn, prepare, staticNodes, type Preparations } from './prepare.ts'
import {
  associate,
  checkDropout,
  distribute,
  dropInput,
  expansion,
  keepInput,
  laidOut,
  layoutRules,
  lowRankNorm,
  movementRules,
  rewrite,
  scaleProduct,
  simplifications,
  stopGradientValue,
  takeRules,
  weighing,
  type Rule,
} from './rewrite/index.ts'

/** What a target tells the compiler of itself. */
export interface Traits {
  /** Lay products out for matrix kernels. */
  readonly layOut: boolean
  /** Whether the target runs an op as it is, by name; a composite that it does not run is expanded. */
  readonly runs: (op: string) => boolean
  /** What the target can write into the buffer of an input. */
  readonly inPlace: InPlace
  /** Whether what follows from weights alone is computed where it is used, not once and then held. */
  readonly unprepared?: boolean
  /** Whether the rows that are trained are held apart from their leaf, in full precision. */
  readonly holdsParts?: boolean
  /**
   * What is weighed, as a product and a softmax of one, is computed again in the backward pass where that takes at most
   * so many operations for each byte that need not be kept.
   */
  readonly recomputeProducts?: number
  /** Whether layers are kept alike, so that a loop can go through them: see `Partition`. */
  readonly alike?: boolean
  /**
   * Whether programs are made before the sizes of batches are known, with others in their place: who binds them checks
   * what fits.
   */
  readonly unbound?: boolean
}

/** What may be asked of the compiler beside that. */
export interface CompilerOptions {
  /** What a backward pass computes again: see `Partition`. */
  readonly recompute?: Partition['recompute']
  /**
   * Rules that are switched off, by name: to measure what each is worth. On the graph target also `fuse`, `chunk` and
   * `xla`.
   */
  readonly without?: readonly string[]
  /**
   * Whether a graph is to answer Hessian-vector products: what it can be asked is fixed when it is made. Other targets
   * always do.
   */
  readonly hvp?: boolean
}

/** What a session shares between its programs. */
export interface Compiler extends Traits, CompilerOptions {
  readonly size: (dim: Dim) => number
  /** Leaves that do not change while a program runs. */
  readonly isStaticLeaf: (n: Node) => boolean
  /** Those of them of which something is trained: what follows from them is made anew after an update. */
  readonly isTrainedLeaf?: (n: Node) => boolean
  /** Dims whose sizes the weights fix, and no batch. */
  readonly isOwnDim?: (dim: Dim) => boolean
  readonly keyOf: (n: Node) => string
  readonly preparations: Preparations
}

/** A program in its last form: what it reads, what it returns, and the list of things to do. */
export interface Program {
  readonly inputs: readonly Node[]
  readonly outputs: readonly Node[]
  readonly plan: Plan
}

/** What is asked of a program beside its outputs: gradients, and which inputs it may use up. */
export interface Goal {
  readonly wanted?: readonly Wanted[]
  readonly cotangents?: readonly Node[]
  /** Directions, in the order of what is wanted: the Hessian times them takes the place of the gradients. */
  readonly tangents?: readonly Node[]
  readonly donated?: ReadonlySet<Node>
}

/** trace → rewrite → differentiate → rewrite → lay out → prepare → plan. */
export const compileProgram = (outputs: readonly Node[], compiler: Compiler, goal: Goal = {}): Program => {
  const { wanted = [], tangents = [], donated = new Set() } = goal
  // in the words of who wrote it, before rules make something else of it
  if (!compiler.unbound) checkFits(outputs, compiler.size)
  const { size } = compiler
  const isStaticLeaf = compiler.unprepared ? () => false : compiler.isStaticLeaf
  const enabled = (rules: readonly Rule[]): readonly Rule[] =>
    rules.filter(rule => !compiler.without?.includes(rule.name))
  const general = enabled([...simplifications, ...layoutRules, ...takeRules])
  const late = enabled([stopGradientValue, ...general])
  const movement = enabled([...simplifications, ...movementRules])
  // weights that are expressions are taken apart before their gradients are taken
  const first = enabled([
    wanted.length > 0 ? dropInput : keepInput,
    distribute,
    associate,
    scaleProduct,
    lowRankNorm,
    ...general,
  ])
  const nothing = (): boolean => false
  const finish = (roots: readonly Node[], isStatic: (n: Node) => boolean): readonly Node[] => {
    const simple = deduplicated(
      rewrite(rewrite(deduplicated(roots), late, { size, isStatic }), [expansion(compiler.runs)], { size, isStatic }),
    )
    return compiler.layOut
      ? deduplicated(rewrite(rewrite(simple, [laidOut], { size, isStatic }), movement, { size, isStatic }))
      : simple
  }
  const everywhere = (roots: readonly Node[], rules: readonly Rule[]): readonly Node[] => {
    const weights = weightsIn(roots, compiler)
    return withoutUnread(
      mapBlocks(rewrite(roots, rules, { size, isStatic: nothing, isWeight: compiler.isStaticLeaf }), block => ({
        ...block,
        outputs: deduplicated(rewrite(block.outputs, rules, { size, isStatic: nothing, isWeight: weights(block) })),
      })),
    )
  }
  const simple = everywhere(deduplicated(outputs), first)
  // the gradient is taken apart like any other program before it is differentiated again
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

  // which parameters of a block are weights decides how its products are laid out
  const known = staticNodes(simplified, isStaticLeaf)
  const flags = staticParameters(simplified, n => known.has(n))
  const finished = new Map<Block, Block>()
  const finishBlock = (block: Block): Block => {
    const isStatic = flags.get(block) ?? []
    const next = finished.get(block) ?? {
      ...block,
      outputs: finish(block.outputs, n => isStatic[block.parameters.indexOf(n)] === true),
    }
    finished.set(block, next)
    return next
  }
  const bytes = (n: Node): number => count(n.shape.map(size)) * bytesPerElement[n.dtype]
  const { outputs: forward, gradients: wantedGradients } =
    wanted.length === 0
      ? { outputs: simplified, gradients: [] }
      : gradients(simplified, cotangents, wanted, {
          optimise: (roots, block) => finish(roots, n => flags.get(block)?.[block.parameters.indexOf(n)] === true),
          bytes,
          atHand: atHandIn(simplified, compiler),
          alike: compiler.alike === true,
          isCheap: n => isCheap(n, { ...compiler, bytes }),
          ...(compiler.recompute ? { recompute: compiler.recompute } : {}),
        })
  // a block that was differentiated has been finished with its gradients; the others are finished here
  const roots = finish([...(tangents.length === 0 ? forward : forward.slice(1)), ...wantedGradients], isStaticLeaf)
  const complete = mapBlocks(roots, block => (flags.has(block) ? finishBlock(block) : block))
  return fitted(deduplicated(compiler.unprepared ? complete : preparedTwice(complete, compiler)), compiler, donated)
}

/**
 * What follows from frozen leaves alone is prepared first, by itself: the squares of a weight, of whose norms the rest
 * follows an update. What is trained and repeated along a batch is made where it is used: an update knows no batch, and
 * would have to make it for every size ever seen.
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

/** Which parameters of a block are weights, in every call of it. */
const weightsIn = (roots: readonly Node[], { isStaticLeaf }: Pick<Compiler, 'isStaticLeaf'>) => {
  const flags = staticParameters(roots, weighing(isStaticLeaf))
  return (block: Block) =>
    (n: Node): boolean =>
      flags.get(block)?.[block.parameters.indexOf(n)] === true
}

/**
 * What both halves of a block have without keeping it: what is prepared before the run, and what is made of weights
 * alone by ops that are cheap or unpack them. A weight is never kept from forward to backward in another form.
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

/** Whether a backward pass computes a result again: attention's probabilities are many bytes that follow from few. */
const isCheap = (
  n: Node,
  {
    size,
    bytes,
    recomputeProducts = 0,
  }: Pick<Compiler, 'size' | 'recomputeProducts'> & { readonly bytes: (n: Node) => number },
): boolean =>
  n.op.cheap === 'weighed'
    ? n.op.flops(
        n.inputs.map(input => input.shape.map(size)),
        n.attributes,
        { sizes: n.shape.map(size), size, inputs: n.inputs },
      ) <=
      recomputeProducts * bytes(n)
    : n.op.cheap === true

/** Plans a program whose inputs are the placeholders it reads. */
export const planned = (
  outputs: readonly Node[],
  { size, inPlace }: Pick<Compiler, 'size' | 'inPlace'>,
  donated: ReadonlySet<Node> = new Set(),
): Program => {
  const read = topological(outputs).filter(n => is(n, placeholderOp))
  const inputs = [...new Set([...read, ...donated])]
  return { inputs, outputs, plan: planOf({ inputs, outputs, size, donated, inPlace }) }
}

/** The same of expressions that fit the sizes of their dims. @throws {DimsError} where they do not */
export const fitted = (
  outputs: readonly Node[],
  compiler: Pick<Compiler, 'size' | 'inPlace' | 'unbound'>,
  donated?: ReadonlySet<Node>,
): Program => {
  if (!compiler.unbound) checkFits(outputs, compiler.size)
  return planned(outputs, compiler, donated)
}

/**
 * transpose(put(x, i, v)) = put(transpose(x), i, transpose(v)): how a weight's other layout follows an update without
 * being made again.
 */
export const transposePut: Rule = {
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

/**
 * What a prepared value becomes when leaves change: in terms of the prepared values themselves, where that is possible.
 */
export const refreshed = (expression: Node, changes: ReadonlyMap<Node, Node>, compiler: Compiler): Node => {
  const [moved] = rewrite(substitute([expression], changes), [transposePut], {
    size: compiler.size,
    isStatic: () => false,
  })
  // what follows from what the leaves become, as from all gradients by their norm, was prepared by nobody
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
