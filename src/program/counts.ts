import { bindDims, given, sizing } from '../compile/index.ts'
import type { Checkpoint } from '../io/index.ts'
import { count, inputsAxis, packedLengths } from '../tensor/index.ts'
import { leafName, maskedLeaves, methodNames, recordOf, tensorsOf, type Reparametrised } from '../tune/index.ts'
import type { ResolvedModule } from '../tune/modules/modules.ts'
import { sized, sizesOf } from './tune.ts'

/** Numbers of parameters and sizes of dims, from the header of a checkpoint. */

/** A tuned tree with its mask. */
export type MaskedParams = Pick<Reparametrised<unknown, unknown, unknown>, 'params' | 'mask'>

/** The facts about a tuned model that its figures follow from. */
export interface TunedFacts {
  readonly method: string
  readonly model: { readonly params: unknown; readonly dims?: Readonly<Record<string, number>> }
}

/**
 * The numbers of trained and of all parameters, from the header.
 * @example parameterCounts(tuned, checkpoint) // { trainable: 610_560, all: 134_515_008 }
 */
export const parameterCounts = (
  tuned: MaskedParams & TunedFacts,
  checkpoint: Checkpoint,
  modules: readonly ResolvedModule[] = [],
): { readonly trainable: number; readonly all: number } => {
  const { model } = tuned
  const own = ownDims(tuned, checkpoint, modules)
  const size = sizing(bindDims([...given('the model', model.dims ?? {}), ...given('the method', own)]))
  const trained = maskedLeaves(tuned.params, tuned.mask).map(({ leaf, mask }) =>
    mask.mask === 'frozen'
      ? 0
      : mask.mask === 'all'
        ? count(leaf.shape.map(size))
        : mask.mask === 'entries'
          ? size(mask.count)
          : count(leaf.shape.with(inputsAxis(leaf) ?? 0, mask.count).map(size)),
  )
  const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)
  return {
    trainable: sum(trained),
    all: sum(tensorsOf(model.params).map(([path]) => count(sizesOf(checkpoint, path)))),
  }
}

/** The lengths of the vectors that a matrix of `numbers` elements is packed into, by name. */
const packedSizes = (numbers: number): Readonly<Record<string, number>> => {
  const { codes, blocks, absmaxCodes, nestedAbsmax } = packedLengths(numbers)
  return { codes, absmax: blocks, absmax_codes: absmaxCodes, nested_absmax: nestedAbsmax }
}

/**
 * Sizes that only the method determines, from the header, and the lengths of the vectors that a module is packed into.
 * @example explain(step, { dims: { batch: 2, seq: 256, ...ownDims(tuned, checkpoint, modules) } })
 */
export const ownDims = (
  { method, params, mask }: MaskedParams & Pick<TunedFacts, 'method'>,
  checkpoint: Checkpoint,
  modules: readonly ResolvedModule[],
): Readonly<Record<string, number>> => {
  const packed = maskedLeaves(params, mask).flatMap(
    ({ path, leaf: { shape } }): readonly (readonly [string, number])[] => {
      const [dim, ...rest] = shape
      // a quantized module consists of its vectors
      const module = path.slice(0, path.lastIndexOf('.')).replace(/\.weight$/, '')
      if (
        typeof dim !== 'string' ||
        rest.length > 0 ||
        !checkpoint.tensors.has(checkpoint.architecture.stored(module).name)
      )
        return []
      const size = packedSizes(count(sizesOf(checkpoint, module)))[leafName(path)]
      return size === undefined ? [] : [[dim, size]]
    },
  )
  const name = methodNames.find(known => known === method)
  const own = name === undefined || modules.length === 0 ? {} : recordOf(name).dims?.(sized(checkpoint, modules))
  return { ...Object.fromEntries(packed), ...own }
}
