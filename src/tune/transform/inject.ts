import { scalar, type Node, type Tensor } from '../../tensor/index.ts'
import { tensorsOf } from '../tree.ts'
import type { Apply, Fn, Transform } from './transform.ts'

/** The numbers among options, as scalars of a state. */
type Scalars<O> = {
  readonly [K in keyof O as O[K] extends number ? K : never]: Tensor<readonly []>
}
/** The state of {@link inject}: the present settings by their names, and the transform's own state. */
export interface InjectState<F extends Fn, O, G> {
  readonly injected: Scalars<O>
  readonly inner: Apply<F, G>
}
export interface Inject<F extends Fn, O> extends Fn {
  readonly out: InjectState<F, O, this['in']>
}

/** The settings in a state that a run may change, as a union of their names. */
export type SettingsIn<S> = S extends Node
  ? never
  : S extends { readonly injected: infer O; readonly inner: infer I }
    ? (keyof O & string) | SettingsIn<I>
    : S extends readonly unknown[]
      ? { readonly [K in keyof S]: SettingsIn<S[K]> }[number]
      : S extends object
        ? { readonly [K in keyof S]: SettingsIn<S[K]> }[keyof S]
        : never

/** Numbers for the settings in a state that a run may change; of any name if the state is only known at run time. */
export type Settings<S> = unknown extends S
  ? Readonly<Record<string, number>>
  : [SettingsIn<S>] extends [never]
    ? Readonly<Record<string, never>>
    : { readonly [N in SettingsIn<S>]?: number }

/**
 * A transform whose numbers are in its state, where a run may change them: `run.set({ lr })`. Everything else among the
 * options, such as a schedule, stays. Source: `optax.inject_hyperparams`.
 * @throws {RangeError} for a number that the transform does not take, as it does itself
 * @example inject(adamw, { lr: 1e-3, weightDecay: 0.01 })
 */
export const inject = <F extends Fn, const O extends object>(
  build: (options: O) => Transform<F>,
  options: O,
): Transform<Inject<F, O>> => {
  const numbers = Object.entries(options as Readonly<Record<string, unknown>>).flatMap(([name, value]) =>
    typeof value === 'number' ? [[name, value] as const] : [],
  )
  const plain = build(options)
  // each option that is a number may be a scalar instead
  const withScalars = (scalars: Readonly<Record<string, unknown>>): Transform<F> =>
    build({ ...options, ...scalars } as O)
  return {
    check: settings => {
      const own = Object.entries(settings).filter(([name]) => numbers.some(([known]) => known === name))
      withScalars(Object.fromEntries(own))
      plain.check?.(settings)
    },
    init: params => ({
      // the type has the numbers of the options
      injected: Object.fromEntries(numbers.map(([name, value]) => [name, scalar(value)])) as unknown as Scalars<O>,
      inner: plain.init(params),
    }),
    update: (grad, { injected, inner }, params, evaluated) => {
      const [updates, next] = withScalars(injected).update(grad, inner, params, evaluated)
      return [updates, { injected, inner: next }]
    },
  }
}

const injectedName = /(?:^|\.)injected\.([^.]+)$/
/** The leaves of a state that are settings which a run may change: their names, by path. */
export const settingsIn = (state: unknown): ReadonlyMap<string, string> =>
  new Map(
    tensorsOf(state).flatMap(([path, { shape }]) => {
      const name = shape.length === 0 ? injectedName.exec(path)?.[1] : undefined
      return name === undefined ? [] : [[path, name] as const]
    }),
  )
