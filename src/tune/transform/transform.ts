import { u, type Tensor } from '../../tensor/index.ts'
import { combine } from './leafwise.ts'

/**
 * A function of types: `out` is written in terms of `this['in']`.
 * @example interface Twice extends Fn { readonly out: readonly [this['in'], this['in']] }
 */
export interface Fn {
  readonly in: unknown
  readonly out: unknown
}
/** The result of a function of types. @example Apply<Twice, string> is readonly [string, string] */
export type Apply<F extends Fn, G> = (F & { readonly in: G })['out']

/**
 * The facts about a step that a transform may use: the mean loss before the update, and its gradient before any
 * transform.
 */
export interface Evaluated<G> {
  readonly value: Tensor<readonly []>
  readonly gradient: G
}

/**
 * A gradient transform: two pure functions over symbolic trees, which accept every focus (`G`: nested records and
 * arrays of tensors, branded or not). `F` maps a focus to its state, which exists for the leaves of the focus only.
 * `update` returns the updates to *add* to the parameters, and the next state. Interface and semantics are those of
 * optax 0.2 (DeepMind 2020), and counts also begin at 0.
 * @example const [updates, next] = sgd({ lr: 0.1 }).update(gradient, state, focus)
 */
export interface Transform<out F extends Fn> {
  /** The state before the first update: symbolic zeros. */
  init<G>(params: G): Apply<F, G>
  /**
   * Gradient, state and parameters to updates and the next state. A full gradient instead of one of the focus is a type
   * error.
   */
  update<G>(grad: G, state: Apply<F, G>, params: G, evaluated?: Evaluated<G>): readonly [G, Apply<F, G>]
  /**
   * Checks new numbers of the settings that `inject` keeps in the state, by their names.
   * @throws {RangeError} for one that is out of its range
   */
  readonly check?: Check
}
type Check = (settings: Readonly<Record<string, number>>) => void

/** The check of a transform that is made of others. */
export const checksOf = (...parts: readonly Pick<Transform<Fn>, 'check'>[]): { readonly check: Check } => ({
  check: settings => {
    for (const { check } of parts) check?.(settings)
  },
})

/** The state of a transform without any. */
export interface Stateless extends Fn {
  readonly out: {}
}
/** A number of updates, from 0. */
export type Count = Tensor<readonly [], 'i32'>
/** The state of a transform that counts its updates. */
export interface Counted extends Fn {
  readonly out: { readonly count: Count }
}

/** A stateless transform, from its function of updates and parameters. */
export const stateless = (update: <G>(grad: G, params: G) => G): Transform<Stateless> => ({
  init: () => ({}),
  update: (grad, state, params) => [update(grad, params), state],
})

/** The identity: the gradient itself. */
export const identity: Transform<Stateless> = stateless(grad => grad)

/** params + updates, leaf by leaf. @example putFocus(params, mask, applyUpdates(part, updates)) */
export const applyUpdates = <G>(params: G, updates: G): G => combine((p, update) => u.add(p, update!), params, updates)
