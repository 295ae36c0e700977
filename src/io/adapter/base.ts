import * as E from 'fp-ts/lib/Either.js'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import { showSizes, toF32 } from '../checkpoint/archive.ts'
import { entriesOf, hashOf, type Checkpoint } from '../checkpoint/checkpoint.ts'
import { attempt, orThrow, refusal, type IoError } from '../../text/index.ts'
import { roundedTo } from '../../tensor/index.ts'
import { layoutOf, parameterName } from '../checkpoint/load.ts'
import { recordOf, type Tensors } from '../../tune/index.ts'
import { isAllLinear, savedMatcher, targetMatcher, unmetNames } from '../../tune/modules/modules.ts'
import { withHeadFor } from '../checkpoint/head.ts'
import { formOfModule, indexIn, type Adapter, type AnyAdapter, type WeightedAdapter } from './adapter.ts'
import { inputsIn, isHead, leafSizes, reaches, storedLeaf, type StoredLeaf } from '../../model/index.ts'
import { fitHead, headOf } from './head.ts'
import { checkTensors, counted, tensorWith } from './layout.ts'
import type { WidthOf } from './lora-form.ts'

/** The sizes of a leaf in the tree's layout, [..., in, out], from the header of the base. */
const sizesIn = ({ tensors }: Pick<Checkpoint, 'tensors'>, path: string): readonly number[] | undefined => {
  const sizes = tensors.get(parameterName(path))?.sizes
  return sizes && leafSizes(layoutOf(path), sizes)
}

/** The numbers of inputs of a base's modules. @example loraOf(adapter, inputWidths(checkpoint)) */
export const inputWidths =
  (checkpoint: Pick<Checkpoint, 'path' | 'tensors'>): WidthOf =>
  path => {
    const width = sizesIn(checkpoint, path)?.[inputsIn(layoutOf(path))]
    if (width === undefined) throw refusal(`${checkpoint.path}: the base has no module ${path}`)
    return width
  }

const checkSizes = (
  subject: string,
  path: string,
  { sizes }: { readonly sizes: readonly number[] },
  due: readonly number[],
): void => {
  if (showSizes(sizes) !== showSizes(due))
    throw refusal(`${subject}: ${path} is ${showSizes(sizes)}, in the base ${showSizes(due)}`)
}

const beyond = (subject: string, path: string, what: string, index: Int32Array, limit: number): void => {
  const outside = index.find(i => i >= limit)
  if (outside !== undefined)
    throw refusal(`${subject}: ${path} holds ${what} ${outside}, in the base there are ${limit}`)
}

/** Checks that a module fits the weight of the base. */
const checkFit = (
  subject: string,
  adapter: AnyAdapter,
  path: string,
  module: Tensors,
  due: readonly number[],
): void => {
  const { method, shared } = adapter
  const form = formOfModule(method, module)
  const index = indexIn(form)
  if (recordOf(method).change === 'values' && index === undefined) {
    checkSizes(subject, path, module['values']!, due)
    return
  }
  // a convolution is adapted by arrays of as many axes
  const axes = Math.max(2, ...Object.values(form).map(({ sizes }) => sizes.length))
  if (due.length !== axes)
    throw refusal(
      axes === 2
        ? `${subject}: ${path} is no matrix in the base, which ${method} adapts`
        : `${subject}: ${path} is ${showSizes(due)} in the base, and a convolution of other axes in the adapter`,
    )
  const [width, out] = [due[inputsIn(layoutOf(path))]!, due.at(-1)!]
  const at = index && module[index.name]
  const height = module['values']?.sizes[1]
  if (index?.among === 'columns' && axes === 2 && height !== out)
    throw refusal(`${subject}: ${path} holds columns of ${height} numbers, in the base they have ${out}`)
  const [rows, columns] = due
  const known = axes === 2 ? { in: width, out } : { rows: rows!, columns: columns!, in: width, out }
  checkTensors(subject, name => `${name}.${path}`, form, new Map(Object.entries(module)), known)
  if (index !== undefined && at?.dtype === 'i32')
    beyond(subject, path, counted[index.among], at.data, index.among === 'columns' ? width : width * out)
  const wide = tensorWith(recordOf(method).shared, 'in')
  const limit = wide === undefined ? width : (shared?.[wide]?.sizes[0] ?? width)
  if (limit < width) throw refusal(`${subject}: ${path} has ${width} inputs, more than the ${limit} of ${wide}`)
}

/**
 * Rejects an adapter whose file repeats weights of the base that differ from the base's own, up to the precision of the
 * file.
 */
const checkRepeated = async (subject: string, { repeated }: Adapter, base: Checkpoint): Promise<void> => {
  for (const [path, value] of repeated ?? []) {
    const entry = base.tensors.get(parameterName(path))
    const name = `${path}.base_layer.weight`
    if (entry === undefined) throw refusal(`${subject}: the base has no module ${path}`)
    if (showSizes(entry.sizes) !== showSizes(value.sizes)) {
      throw refusal(
        `${subject}: tensor ${name} is ${showSizes(value.sizes)}, in the base ${showSizes(entry.sizes)}: it was trained on resized embeddings`,
      )
    }
    const own = roundedTo(value.dtype, await orThrow(entry.readF32()))
    const theirs = toF32(name, value)
    if (own.some((x, i) => x !== theirs[i])) {
      throw refusal(`${subject}: tensor ${name} holds other numbers than ${base.path}: it was trained on another base`)
    }
  }
}

const isLinearThere = ({ layout }: Pick<StoredLeaf, 'layout'>): boolean => layout === 'linear'

/** Rejects an adapter that lacks one of its target modules. */
const checkComplete = (subject: string, adapter: Adapter, base: Checkpoint): void => {
  const paths = [...entriesOf(base).keys()]
  const targets = targetMatcher(adapter, isHead)
  const { reach } = recordOf(adapter.method)
  const inWhole = reach === 'every' || reach === 'norm' || reach === 'bias'
  // all linear modules are those that PyTorch has as such
  const has = isAllLinear(adapter.targetModules) ? isLinearThere : reaches[reach].has
  const untouched =
    E.isRight(targets) && !inWhole
      ? paths.find(path => has(storedLeaf(path)) && targets.right(path) && !adapter.modules.has(path))
      : undefined
  if (untouched !== undefined)
    throw refusal(`${subject}: target_modules names ${untouched}, of which the adapter has no tensors`)
  // buffers are saved if training has changed them
  const params = paths.filter(path => storedLeaf(path).kind !== 'statistic')
  const unsaved = params.filter(savedMatcher(adapter)).find(path => !adapter.whole?.has(path))
  if (unsaved !== undefined)
    throw refusal(`${subject}: modules_to_save names ${unsaved}, which the adapter does not have`)
}

/**
 * Checks that an adapter belongs to a base: the base's hash, if the adapter records it, the sizes of every module, and
 * that no target module is missing. `subject` begins the message. Returns warnings: names in the adapter's settings
 * that match nothing in this base.
 * @example await checkBase(adapter, checkpoint, 'out')()
 */
export const checkBase = (
  adapter: Adapter,
  checkpoint: Checkpoint,
  subject = 'the adapter',
): TE.TaskEither<IoError, readonly string[]> =>
  attempt(subject, async () => {
    const { baseModelHash: known } = adapter
    const hash = known === undefined ? undefined : await orThrow(hashOf(checkpoint))
    if (known !== undefined && hash !== undefined && hash !== known) {
      throw refusal(
        `${subject}: it was trained on another base, ${adapter.baseModelName} (hash ${known.slice(0, 12)}), ` +
          `than ${checkpoint.path} (hash ${hash.slice(0, 12)})`,
      )
    }
    const base = withHeadFor(checkpoint, [adapter])
    const fitted = fitHead(subject, adapter, headOf(base))
    const dueOf = (path: string): readonly number[] => {
      const due = sizesIn(base, path)
      if (due === undefined) throw refusal(`${subject}: the base has no module ${path}`)
      return due
    }
    for (const [path, module] of fitted.modules) checkFit(subject, fitted, path, module, dueOf(path))
    for (const [path, value] of [...(fitted.whole ?? []), ...(fitted.buffers ?? [])])
      checkSizes(subject, path, value, dueOf(path))
    checkComplete(subject, fitted, base)
    await checkRepeated(subject, fitted, base)
    const paths = [...entriesOf(base).keys()]
    // a tied head is a module too
    return unmetNames(adapter, [...paths, base.architecture.head]).map(sentence => `${subject}: ${sentence}`)
  })

/**
 * Adapts adapters to the head of a base that they were checked against and that `loadedFor` has prepared for them.
 * Throws an `IoError` if head and embedding must be one and an adapter has two.
 * @example withAdapters(loadedFor(loaded, adapters).weights, fitAdapters(uses, loaded.checkpoint))
 */
export const fitAdapters = (
  uses: readonly WeightedAdapter[],
  checkpoint: Pick<Checkpoint, 'architecture' | 'tensors'>,
): readonly WeightedAdapter[] =>
  uses.map(use => ({ ...use, adapter: fitHead('the adapter', use.adapter, headOf(checkpoint)) }))
