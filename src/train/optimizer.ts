import * as E from '../either/index.ts'
import { fail, type IoError } from '../text/index.ts'
import {
  addDecayedWeights,
  clipByGlobalNorm,
  identity,
  namedChain,
  optimizerNames,
  optimizers,
  scaleByLearningRate,
  type Fn,
  type LearningRate,
  type NamedChain,
  type Optimizer,
  type OptimizerName,
  type OptimizerSettings,
  type Stateless,
  type Transform,
} from '../tune/index.ts'

/** A requested optimizer; an omitted setting has its default. */
export interface OptimizerChoice {
  readonly optimizer?: OptimizerName | undefined
  /** Its own settings, such as `{ b1: 0.9 }`. */
  readonly optimizerArgs?: OptimizerSettings | undefined
  /** The highest learning rate. */
  readonly lr?: number | undefined
  readonly weightDecay?: number | undefined
  /** The largest norm of a gradient; 0 for none. */
  readonly clip: number
}

/** The state of every optimizer of a run. */
export type RunOptimizer = NamedChain<{
  readonly clip: Stateless
  readonly moments: Fn
  readonly decay: Stateless
  readonly rate: Fn
}>

/** An optimizer with all its settings. */
export interface ChosenOptimizer extends Required<OptimizerChoice> {
  readonly optimizer: OptimizerName
  readonly optimizerArgs: OptimizerSettings
  readonly lr: number
  readonly weightDecay: number
  /** Everything that a step does with a gradient, at a rate that is a number or follows a schedule. */
  readonly transform: (rate: LearningRate) => Transform<RunOptimizer>
}

/**
 * An optimizer with all its settings: after a clip of the gradient's norm, and followed by decoupled weight decay and
 * the rate. Errors: a setting that it does not take, or that is out of range.
 * @example E.map(({ transform }) => trainStep(tuned, transform(1e-5)))(chooseOptimizer({ optimizer: 'lion', clip: 1 }))
 */
export const chooseOptimizer = (choice: OptimizerChoice): E.Either<IoError, ChosenOptimizer> => {
  const { optimizer: name = optimizerNames[0]!, optimizerArgs = {}, clip } = choice
  const of: Optimizer = optimizers[name]
  const known = Object.keys(of.settings)
  const other = Object.keys(optimizerArgs).find(key => !known.includes(key))
  if (other !== undefined) return fail(`--optimizer ${name} takes no ${other}: it takes ${known.join(', ')}`)
  const { lr = of.lr, weightDecay = of.weightDecay } = choice
  try {
    const parts = {
      clip: clip > 0 ? clipByGlobalNorm(clip) : identity,
      moments: of.moments(optimizerArgs),
      decay: addDecayedWeights(weightDecay),
    }
    return E.right({
      optimizer: name,
      optimizerArgs: { ...of.settings, ...optimizerArgs },
      lr,
      weightDecay,
      clip,
      transform: rate => namedChain({ ...parts, rate: scaleByLearningRate(rate) }),
    })
  } catch (error) {
    if (error instanceof RangeError) return fail(error.message)
    throw error
  }
}
