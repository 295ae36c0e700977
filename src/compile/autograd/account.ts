import {
  contractOp,
  count,
  deduplicated,
  is,
  placeholderOp,
  topological,
  type Dim,
  type Node,
} from '../../tensor/index.ts'
import { lensOf, maskedLeaves, tensorsOf, type Tuned } from '../../tune/index.ts'
import { bindDims, given, sizing } from '../bind.ts'
import { declaredOf, lossOrNothing } from '../declared.ts'
import { rewriteEverywhere } from '../everywhere.ts'
import {
  associate,
  convolveLowRank,
  distribute,
  dropInput,
  dropTrained,
  reshapeLowRank,
  scaleProduct,
  takeTraining,
  type Rule,
} from '../rewrite/index.ts'
import { adapterInput, numberOutside, scaledTerms, throughIdentity } from './association.ts'
import { foldOf, NoAccount, type Folded, type Kept, type Leaf, type Setting } from './fold.ts'
import { moduleRules, productRules } from './modules.ts'
import { elementBytes, type Storage } from './storage.ts'
import { workOf, type StepWork } from './work.ts'

/** The facts about a run in PyTorch on which depends what a step holds there. */
export interface AccountOptions extends Partial<Omit<Setting, 'unshared'>> {
  /**
   * The transformers library whose modules run (default: 5). Those of 2024, up to 4.44, repeat shared keys and values,
   * make rotary tables in every layer, and hold logits in float32 and a shifted copy of them during the backward pass;
   * the PEFT of that time computes a product again of which magnitudes scale a part.
   */
  readonly transformers?: 4 | 5
  /** True if every layer keeps its inputs alone, and is computed again in the backward pass (default: false). */
  readonly checkpointing?: boolean
  /** The rows of logits that are computed at once, if the head and its loss go through them in pieces. */
  readonly chunk?: number
}

/** The bytes that an op keeps, in how many places. */
export interface KeptByOp {
  readonly op: string
  readonly bytes: number
  readonly tensors: number
}
/** The memory of PyTorch for a step besides weights, gradients and the optimizer's state: in bytes, unless it is numbers. */
export interface Account {
  /** The numbers that are trained. */
  readonly trained: number
  /** The numbers of the model's own parameters. */
  readonly parameters: number
  /** All that lives from the forward pass into the backward pass. */
  readonly saved: number
  /** The part of it that layers keep, all together, and the most that one layer keeps. */
  readonly layers: number
  readonly layer: number
  /** The part of it that the head and the loss keep. */
  readonly head: number
  /** The tensors that the loss's own code holds during the backward pass, although nothing needs them. */
  readonly held: number
  /** The tensors that the layer that is computed again keeps meanwhile; 0 without checkpointing. */
  readonly live: number
  /** All of these at once. */
  readonly total: number
  /** Without checkpointing and chunks: what each op keeps, the most first. */
  readonly kept: readonly KeptByOp[]
}

const associationOf = (repeats: boolean): readonly Rule[] => [
  dropTrained,
  dropInput,
  takeTraining,
  numberOutside,
  distribute,
  associate,
  reshapeLowRank,
  convolveLowRank,
  scaleProduct,
  scaledTerms(repeats),
]

/** The head's product, from which on everything belongs to the head, and the logits. */
const headOf = (root: Node): { readonly logits: Node; readonly product: Node } | undefined => {
  const loss = topological([root]).find(n => n.op.curvature !== undefined)
  const logits = loss?.inputs[0]
  let product = logits
  while (product !== undefined && !is(product, contractOp)) product = product.inputs[0]
  return logits && product && { logits, product }
}
const dependents = (root: Node, from: Node): ReadonlySet<Node> => {
  const found = new Set([from])
  for (const n of topological([root])) if (n.inputs.some(input => found.has(input))) found.add(n)
  return found
}

const bytesOf = (storages: Iterable<Storage>): number => [...storages].reduce((sum, { bytes }) => sum + bytes, 0)
const storagesOf = (kept: readonly Kept[]): ReadonlySet<Storage> => new Set(kept.map(({ storage }) => storage))

const byOp = (kept: readonly Kept[]): readonly KeptByOp[] => {
  const seen = new Set<Storage>()
  const found = new Map<string, KeptByOp>()
  for (const { op, storage } of kept) {
    if (seen.has(storage)) continue
    seen.add(storage)
    const { bytes, tensors } = found.get(op) ?? { bytes: 0, tensors: 0 }
    found.set(op, { op, bytes: bytes + storage.bytes, tensors: tensors + 1 })
  }
  return [...found.values()].sort((a, b) => b.bytes - a.bytes)
}

const accountOfFold = (
  { outside, layers, head, at }: Folded,
  parts: ReturnType<typeof headOf>,
  { checkpointing = false, chunk, transformers = 5 }: AccountOptions,
  size: (dim: Dim) => number,
): Omit<Account, 'trained' | 'parameters'> => {
  const inLayers = layers.map(({ kept }) => storagesOf(kept))
  // what all layers are given, such as rotary tables, is no layer's own
  const readers = new Map<Storage, number>()
  for (const s of layers.flatMap(layer => layer.inputs)) readers.set(s, (readers.get(s) ?? 0) + 1)
  const inputs = new Set([...readers].flatMap(([s, n]) => (n === 1 ? [s] : [])))
  const before = storagesOf(outside)
  const ofLayers = checkpointing ? inputs : new Set(inLayers.flatMap(storages => [...storages]))
  const layersAlone = [...ofLayers].filter(s => !before.has(s))
  const headAlone = [...storagesOf(head)].filter(s => !before.has(s) && !ofLayers.has(s))
  const live = checkpointing
    ? Math.max(0, ...inLayers.map(storages => bytesOf([...storages].filter(s => !inputs.has(s) && !before.has(s)))))
    : 0
  const rows = parts ? count(parts.logits.shape.slice(0, -1).map(size)) : 1
  const share = chunk === undefined ? 1 : Math.min(1, chunk / rows)
  // the pieces are computed again from the last hidden values, which are then kept themselves
  const hidden = chunk === undefined || parts === undefined ? undefined : at(parts.product.inputs[0]!)
  const isKept = hidden === undefined || hidden.isParameter || before.has(hidden) || ofLayers.has(hidden)
  const ofHead =
    share * bytesOf(headAlone.filter(s => s !== hidden)) + (hidden !== undefined && !isKept ? hidden.bytes : 0)
  const held = transformers === 4 && parts ? share * 2 * elementBytes.f32 * count(parts.logits.shape.map(size)) : 0
  const saved = bytesOf(before) + bytesOf(layersAlone) + ofHead
  return {
    saved,
    layers: bytesOf(layersAlone),
    layer: Math.max(0, ...inLayers.map(bytesOf)),
    head: ofHead,
    held,
    live,
    total: saved + held + live,
    kept: byOp([...outside, ...layers.flatMap(({ kept }) => kept), ...head]),
  }
}

/** The sizes of the batch, and of what only a method determines. */
type Sizes = Readonly<Record<string, number>>
/** The accounts of a tuned model in PyTorch. */
export interface Accountant {
  /** The account of a step, for a batch of some sizes. */
  readonly at: (dims: Sizes, options?: AccountOptions) => Account
  /** The kernels of the forward and the backward pass, without checkpointing and chunks. */
  readonly work: (dims: Sizes, options?: Pick<AccountOptions, 'precision' | 'device' | 'transformers'>) => StepWork
}

/**
 * Accounts of the training step of a tuned model, as PyTorch would run it: a fold over the model's expressions, of which
 * each op says what autograd keeps of it. No method is named: what it keeps follows from its expression and from what it
 * trains. The expressions are made once, for all sizes and options.
 * @throws {NoAccount} if the model has no loss; `at` throws it for a loop over time
 * @example accountant(adapt(llama, lora({ targets: ['q_proj'], rank: 8, seed: 0 }))).at({ batch: 2, seq: 512 }).saved
 */
export const accountant = <P, Q, M, B, O, K extends string, U>(tuned: Tuned<P, Q, M, B, O, K, U>): Accountant => {
  const { model } = tuned
  const declared = declaredOf(tuned)
  if (declared.loss === undefined) throw new NoAccount('a model without a loss has no step')
  const parameters = new Set<Node>([
    ...[...tensorsOf(tuned.params), ...tensorsOf(model.buffers)].map(([, leaf]) => leaf),
    ...(tuned.random === undefined ? [] : [tuned.random.key]),
  ])
  const trained = maskedLeaves(tuned.params, tuned.mask).flatMap(({ leaf, mask }) => {
    const lens = lensOf(mask, leaf)
    return lens ? [[leaf, lens] as const] : []
  })
  const places = new Map(trained.map(([leaf, lens]) => [leaf, lens.places]))
  const leafOf = (n: Node): Leaf => {
    const along = places.get(n)
    return {
      isParameter: parameters.has(n) || (is(n, placeholderOp) && n.attributes.draws !== undefined),
      needs: places.has(n) ? (along ? { along } : {}) : undefined,
    }
  }
  const own = new Set(tensorsOf(model.params).map(([, leaf]) => leaf))
  const rewritten = (size: (dim: Dim) => number, repeats: boolean): Node => {
    const stages = [...moduleRules, associationOf(repeats), [throughIdentity], productRules]
    const associated = stages.reduce<readonly Node[]>(
      (roots, rules) => rewriteEverywhere(roots, rules, { size, isStaticLeaf: n => parameters.has(n) }),
      deduplicated([lossOrNothing(declared).sum]),
    )
    const isAdded = (n: Node): boolean => parameters.has(n) && !own.has(n)
    return rewriteEverywhere(associated, [adapterInput], { size, isStaticLeaf: isAdded })[0]!
  }
  // rules weigh weights alone, whose sizes are the same for all batches
  const made = new Map<boolean, Node>()
  const rootOf = (size: (dim: Dim) => number, repeats: boolean): Node => {
    const root = made.get(repeats) ?? rewritten(size, repeats)
    made.set(repeats, root)
    return root
  }
  const foldedAt = (dims: Sizes, { precision = 'f32', device = 'cuda', transformers }: AccountOptions) => {
    const size = sizing(bindDims([...given('the model', model.dims ?? {}), ...given('dims', dims)]), model.capacities)
    const root = rootOf(size, transformers === 4)
    const head = headOf(root)
    const inHead = head ? dependents(root, head.product) : new Set<Node>()
    const setting: Setting = { precision, device, unshared: transformers === 4 }
    return { size, head, fold: foldOf(root, leafOf, n => inHead.has(n), setting, size) }
  }
  // an account and the work of one step come from one fold
  let last: { readonly key: string; readonly made: ReturnType<typeof foldedAt> } | undefined
  const folded: typeof foldedAt = (dims, options) => {
    const { precision, device, transformers } = options
    const key = JSON.stringify([dims, precision, device, transformers])
    if (last?.key !== key) last = { key, made: foldedAt(dims, options) }
    return last.made
  }
  return {
    at: (dims, options = {}) => {
      const { size, head, fold } = folded(dims, options)
      const numbers = (leaves: readonly Node[]): number =>
        leaves.reduce((sum, { shape, dtype }) => sum + (dtype === 'f32' ? count(shape.map(size)) : 0), 0)
      return {
        trained: numbers(trained.map(([leaf, lens]) => lens.get(leaf))),
        parameters: numbers([...own]),
        ...accountOfFold(fold, head, options, size),
      }
    },
    work: (dims, options = {}) => {
      const { size, fold } = folded(dims, options)
      return workOf(fold.applications, size)
    },
  }
}
