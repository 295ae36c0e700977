import * as E from '../either/index.ts'
import type { Precision } from './precision.ts'
import type { Target } from './target.ts'

/** The target that `auto` chooses, and the reason in words. */
export interface Choice<T> {
  readonly target: T
  readonly reason: string
}

/** The targets that `auto` may take, the first choice first. */
export const byPriority = <T extends Pick<Target, 'priority'>>(targets: readonly T[]): readonly T[] =>
  targets.filter(({ priority }) => priority !== undefined).toSorted((a, b) => b.priority! - a.priority!)

/**
 * The choice of `auto` in words.
 * @example autoInWords(registeredTargets) // 'graph where there is TensorFlow (`partensor native install`), else wasm'
 */
export const autoInWords = (targets: readonly Pick<Target, 'name' | 'priority' | 'needs'>[]): string =>
  byPriority(targets)
    .map(({ name, needs }) => (needs === undefined ? name : `${name} where there is ${needs}`))
    .join(', else ')

/**
 * Chooses the target of `auto`: of those with a priority that compute in the precision, the highest that runs on this
 * machine. The reason is its own, or that of those before it, which do not run. Left: one sentence if none is left.
 * @example const choice = await chooseTarget(registeredTargets, 'bf16')
 */
export const chooseTarget = async <T extends Pick<Target, 'name' | 'precisions' | 'priority' | 'available'>>(
  targets: readonly T[],
  precision: Precision,
): Promise<E.Either<string, Choice<T>>> => {
  const ranked = byPriority(targets).filter(({ precisions }) => precisions.includes(precision))
  const passed: string[] = []
  for (const target of ranked) {
    // one after the other: testing a target may load its runtime
    const available = await target.available()
    if (E.isRight(available))
      return E.right({ target, reason: passed.length > 0 ? passed.join('; ') : available.right })
    passed.push(available.left)
  }
  return E.left(`${precision} needs the ${ranked.map(({ name }) => name).join(' or ')} target: ${passed.join('; ')}`)
}

const inWords = (precision: Precision): string => (precision === 'f32' ? 'float32' : precision)

/**
 * The reason why a target does not compute in a precision, or undefined if it does.
 * @example precisionProblem(wasmTarget, registeredTargets, 'bf16') // 'the wasm target computes in float32: bf16 needs --target graph'
 */
export const precisionProblem = (
  { name, precisions }: Pick<Target, 'name' | 'precisions'>,
  all: readonly Pick<Target, 'name' | 'precisions'>[],
  precision: Precision,
): string | undefined => {
  if (precisions.includes(precision)) return undefined
  const others = all.filter(other => other.precisions.includes(precision)).map(other => other.name)
  return `the ${name} target computes in ${precisions.map(inWords).join(', ')}: ${precision} needs --target ${others.join(' or ')}`
}
