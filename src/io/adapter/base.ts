import type * as TE from 'fp-ts/lib/TaskEither.js'
import { showSizes } from '../archive.ts'
import { hashOf, type Checkpoint } from '../checkpoint.ts'
import { attempt, orThrow, refusal, type IoError } from '../error.ts'
import { isTransposed, parameterName } from '../load.ts'
import { tensorsOfModule, type MethodTensors, type SavedAdapter } from './adapter.ts'
import { checkTensors, layouts } from './layout.ts'
import type { WidthOf } from './lora-form.ts'

/** The sizes of a leaf as the tree has it, [in, out], from the header of the base. */
const sizesIn = ({ tensors }: Pick<Checkpoint, 'tensors'>, path: string): readonly number[] | undefined => {
  const sizes = tensors.get(parameterName(path))?.sizes
  return sizes?.length === 2 && isTransposed(path) ? [sizes[1]!, sizes[0]!] : sizes
}

/** How many inputs the modules of a base have. @example loraOf(adapter, inputWidths(checkpoint)) */
export const inputWidths = (checkpoint: Pick<Checkpoint, 'path' | 'tensors'>): WidthOf => path => {
  const [width] = sizesIn(checkpoint, path) ?? []
  if (width === undefined) throw refusal(`${checkpoint.path}: the base has no module ${path}`)
  return width
}

const checkSizes = (subject: string, path: string, { sizes }: { readonly sizes: readonly number[] }, due: readonly number[]): void => {
  if (showSizes(sizes) !== showSizes(due)) throw refusal(`${subject}: ${path} is ${showSizes(sizes)}, in the base ${showSizes(due)}`)
}

const beyond = (subject: string, path: string, what: string, index: Int32Array, limit: number): void => {
  const outside = index.find(i => i >= limit)
  if (outside !== undefined) throw refusal(`${subject}: ${path} holds ${what} ${outside}, in the base there are ${limit}`)
}

/** Whether what was trained of a module fits the weight of the base. */
const checkFit = (
  subject: string, adapter: SavedAdapter, path: string, module: MethodTensors[SavedAdapter['method']], due: readonly number[]): void => {
  if (adapter.method === 'full' && 'values' in module) {
    checkSizes(subject, path, module.values, due)
    return
  }
  const [width = 0, out = 0] = due
  if (due.length !== 2) throw refusal(`${subject}: ${path} is no matrix in the base, which ${adapter.method} adapts`)
  if ('columns' in module) {
    const [, height] = module.values.sizes
    if (height !== out) throw refusal(`${subject}: ${path} holds columns of ${height} numbers, in the base they have ${out}`)
    beyond(subject, path, 'column', module.columns.data, width)
  } else if ('entries' in module) beyond(subject, path, 'entry', module.entries.data, width * out)
  else if (adapter.method !== 'full') {
    checkTensors(subject, name => `${name}.${path}`, layouts[adapter.method], new Map(Object.entries(tensorsOfModule(module))), { in: width, out })
  }
  if (adapter.method === 'vera' && adapter.shared.vera_A.sizes[0]! < width) {
    throw refusal(`${subject}: ${path} has ${width} inputs, more than the ${adapter.shared.vera_A.sizes[0]} of vera_A`)
  }
}

/**
 * Whether an adapter belongs to a base: the base's hash, where the adapter knows it, and every module with its sizes. `subject` begins the message.
 * @example await checkBase(adapter, checkpoint, 'out')()
 */
export const checkBase = (adapter: SavedAdapter, checkpoint: Checkpoint, subject = 'the adapter'): TE.TaskEither<IoError, void> =>
  attempt(subject, async () => {
    const { baseModelHash: known } = adapter
    const hash = known === undefined ? undefined : await orThrow(hashOf(checkpoint))
    if (known !== undefined && hash !== undefined && hash !== known) {
      throw refusal(`${subject}: it was trained on another base, ${adapter.baseModelName} (hash ${known.slice(0, 12)}), ` +
        `than ${checkpoint.path} (hash ${hash.slice(0, 12)})`)
    }
    for (const [path, module] of adapter.modules) {
      const due = sizesIn(checkpoint, path)
      if (due === undefined) throw refusal(`${subject}: the base has no module ${path}`)
      checkFit(subject, adapter, path, module, due)
    }
    for (const [path, value] of adapter.whole ?? []) {
      const due = sizesIn(checkpoint, path)
      if (due === undefined) throw refusal(`${subject}: the base has no module ${path}`)
      checkSizes(subject, path, value, due)
    }
  })
