import { adafactorDefaults, scaleByFactoredRms } from './adafactor.ts'
import { adamDefaults, scaleByAdam } from './adam.ts'
import { scaleByAdamax } from './adamax.ts'
import { chain } from './chain.ts'
import { clipByRms } from './clip.ts'
import { lionDefaults, scaleByLion } from './lion.ts'
import { muonDefaults, orthogonalized } from './muon.ts'
import { radamDefaults, scaleByRadam } from './radam.ts'
import { rmsDefaults, rssDefaults, scaleByRms, scaleByRss } from './rms.ts'
import { trace } from './trace.ts'
import { identity, type Fn, type Transform } from './transform.ts'

/** Numbers by name, such as `{ b1: 0.9 }`. */
export type OptimizerSettings = Readonly<Record<string, number>>

/** An optimizer that runs can use. */
export interface Optimizer {
  /** The default of a run's highest learning rate. */
  readonly lr: number
  /** The default of a run's weight decay. It is decoupled: lr · weightDecay · p is subtracted. */
  readonly weightDecay: number
  /** Its own settings, with their defaults. */
  readonly settings: OptimizerSettings
  /** The update that it computes from a gradient, before decay and rate. Later runs can continue with its state. */
  readonly moments: (settings: OptimizerSettings) => Transform<Fn>
}

const optimizer = <S extends OptimizerSettings>(
  of: Omit<Optimizer, 'settings' | 'moments'> & {
    readonly settings: S
    readonly moments: (settings: S) => Transform<Fn>
  },
): Optimizer => ({ ...of, moments: given => of.moments({ ...of.settings, ...given }) })

/** The optimizers that the command line offers. */
export const optimizers = {
  adamw: optimizer({ lr: 1e-4, weightDecay: 0.01, settings: adamDefaults, moments: scaleByAdam }),
  // the paper recommends a rate three to ten times lower than AdamW's, and a decay higher by the same factor
  lion: optimizer({ lr: 1e-5, weightDecay: 0.1, settings: lionDefaults, moments: scaleByLion }),
  nadamw: optimizer({
    lr: 1e-4,
    weightDecay: 0.01,
    settings: adamDefaults,
    moments: settings => scaleByAdam({ ...settings, nesterov: true }),
  }),
  radam: optimizer({ lr: 1e-4, weightDecay: 0.01, settings: radamDefaults, moments: scaleByRadam }),
  adamax: optimizer({ lr: 2e-4, weightDecay: 0.01, settings: adamDefaults, moments: scaleByAdamax }),
  rmsprop: optimizer({ lr: 1e-4, weightDecay: 0, settings: rmsDefaults, moments: scaleByRms }),
  adagrad: optimizer({ lr: 1e-3, weightDecay: 0, settings: rssDefaults, moments: scaleByRss }),
  // without the scale of each leaf, because an adapter's weights begin at zero
  adafactor: optimizer({
    lr: 1e-3,
    weightDecay: 0,
    settings: adafactorDefaults,
    moments: settings => chain(scaleByFactoredRms(settings), clipByRms(1)),
  }),
  muon: optimizer({ lr: 1e-3, weightDecay: 0.01, settings: muonDefaults, moments: orthogonalized }),
  sgd: optimizer({
    lr: 1e-2,
    weightDecay: 0,
    settings: { momentum: 0 },
    moments: ({ momentum }) => (momentum === 0 ? identity : trace({ decay: momentum })),
  }),
} as const satisfies Readonly<Record<string, Optimizer>>
export type OptimizerName = keyof typeof optimizers
/** The names of {@link optimizers}: the first is the default. */
export const optimizerNames = Object.keys(optimizers) as readonly OptimizerName[]
