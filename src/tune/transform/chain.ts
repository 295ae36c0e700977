import { checksOf, type Apply, type Fn, type Transform } from './transform.ts'

/** The state of a chain: the tuple of its parts' states. */
export interface Chain<F extends readonly Fn[]> extends Fn {
  readonly out: { readonly [K in keyof F]: Apply<F[K], this['in']> }
}

/** The state of a named chain: its parts' states by their names. */
export interface NamedChain<F extends Readonly<Record<string, Fn>>> extends Fn {
  readonly out: { readonly [K in keyof F]: Apply<F[K], this['in']> }
}

/**
 * Transforms one after the other, each on the updates of the one before: u₀ = g, uₖ = tₖ(uₖ₋₁). Source: `optax.chain`.
 * @example chain(clipByGlobalNorm(1), adamw({ lr: 1e-4 }))
 */
export const chain = <const F extends readonly Fn[]>(
  ...transforms: { readonly [K in keyof F]: Transform<F[K]> }
): Transform<Chain<F>> => {
  const parts: readonly Transform<Fn>[] = transforms
  return {
    ...checksOf(...parts),
    // a tuple of states is built as an array, which the type checker cannot follow
    init: params => parts.map(part => part.init(params)) as never,
    update: (grad, state, params, evaluated) => {
      const states = state as readonly unknown[]
      const [updates, next] = parts.reduce(
        ([g, done], part, i): readonly [typeof grad, readonly unknown[]] => {
          const [u, s] = part.update(g, states[i], params, evaluated)
          return [u, [...done, s]]
        },
        [grad, []] as readonly [typeof grad, readonly unknown[]],
      )
      return [updates, next as never]
    },
  }
}

/**
 * Transforms one after another, in the order of their names, with a state that has each part's state under its name.
 * Source: `optax.named_chain`.
 * @throws {TypeError} for a name that is a whole number, which a record does not keep in its written order
 * @example namedChain({ clip: clipByGlobalNorm(1), moments: scaleByAdam(), rate: scaleByLearningRate(1e-4) })
 */
export const namedChain = <const F extends Readonly<Record<string, Fn>>>(transforms: {
  readonly [K in keyof F]: Transform<F[K]>
}): Transform<NamedChain<F>> => {
  const names = Object.keys(transforms)
  const number = names.find(name => /^\d+$/.test(name))
  if (number !== undefined) throw new TypeError(`namedChain: ${number} is no name of a transform`)
  const parts = chain<readonly Fn[]>(...Object.values<Transform<Fn>>(transforms))
  // records and tuples of the same states
  const named = (states: readonly unknown[]): never =>
    Object.fromEntries(names.map((name, i) => [name, states[i]])) as never
  return {
    ...checksOf(parts),
    init: params => named(parts.init(params)),
    update: (grad, state, params, evaluated) => {
      const states: Readonly<Record<string, unknown>> = state
      const [updates, next] = parts.update(
        grad,
        names.map(name => states[name]),
        params,
        evaluated,
      )
      return [updates, named(next)]
    },
  }
}
