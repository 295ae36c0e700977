import * as TE from 'fp-ts/lib/TaskEither.js'
import { accountant, type Account, type AccountOptions, type StepWork } from '../../compile/index.ts'
import { loadedShapes } from '../../io/index.ts'
import { publishedModel, type ModelDescription } from '../../model/index.ts'
import { orThrow } from '../../text/index.ts'
import { count } from '../../tensor/index.ts'
import { trainStep } from '../../train/index.ts'
import { adamw, type MethodName } from '../../tune/index.ts'
import { ownDims } from '../counts.ts'
import { methodOptions, type MethodChoice } from '../method.ts'
import { targetsOf, tuneAny } from '../tune.ts'
import { oursOf, type Ours } from './ours.ts'
import type { BatchSizes } from './regime.ts'

/** The training step of a published model under a method. */
export interface StepChoice extends Omit<MethodChoice, 'seed' | 'method'> {
  readonly model: string
  readonly method: MethodName
  /** The height and width of images, if they are not the model's own. */
  readonly imageSize?: number
}

/** A step whose bytes are known. */
export interface KnownStep {
  /** The memory of PyTorch for a batch. */
  readonly at: (sizes: BatchSizes, options: AccountOptions) => Account
  /** The kernels that PyTorch runs for a batch. */
  readonly work: (sizes: BatchSizes, options: AccountOptions) => StepWork
  /** The numbers of the weights that are quantized. */
  readonly quantized: number
  /** The columns of what this compiler holds. */
  readonly ours: (sizes: BatchSizes) => Promise<Ours>
}

/** A network that drops nothing. */
const undropped = { drop_rate: 0, drop_path_rate: 0 }
/** Images of another size; dropout and stochastic depth of the model itself are off, as in the counts beside the paper. */
const sized = (description: ModelDescription, imageSize: number | undefined): ModelDescription =>
  description.task === 'text' || imageSize === undefined
    ? description
    : {
        ...description,
        config: { ...description.config, image_size: imageSize, ...undropped },
      }

/** The step of a published model under a method, from shapes alone. */
export const knownStep = async ({ model, imageSize, ...choice }: StepChoice): Promise<KnownStep> => {
  const description = await orThrow(TE.fromEither(publishedModel(model)))
  const source = await orThrow(loadedShapes(model, sized(description, imageSize)))
  const { architecture, tensors } = source.checkpoint
  const options = await orThrow(async () => methodOptions({ ...choice, seed: 0 }, architecture))
  const targets = await orThrow(async () => targetsOf(source, options))
  const tuned = await orThrow(async () => tuneAny(source, options, {}, targets))
  const own = ownDims(tuned, source.checkpoint, targets.modules)
  const { at, work } = accountant(tuned)
  const linear = targets.modules.map(({ path }) => tensors.get(architecture.stored(path).name)?.sizes ?? [0])
  return {
    at: (sizes, regime) => at({ ...own, ...sizes }, regime),
    work: (sizes, regime) => work({ ...own, ...sizes }, regime),
    quantized: options.quantize ? linear.reduce((sum, sizes) => sum + count(sizes), 0) : 0,
    ours: oursOf(trainStep(tuned, adamw({ lr: 1e-4 })), own),
  }
}
