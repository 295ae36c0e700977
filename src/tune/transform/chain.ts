import type { Apply, Fn, Transform } from './transform.ts'

/** The state of a chain: the tuple of its parts' states. */
export interface Chain<F extends readonly Fn[]> extends Fn {
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
