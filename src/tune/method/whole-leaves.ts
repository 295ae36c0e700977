import type { Node } from '../../tensor/index.ts'
import { all, type All, type Dynamic, type Frozen } from '../mask.ts'
import { tensorsOf } from '../tree.ts'
import { leafwise } from './leafwise.ts'
import type { Method, Opaque, Reparametrisation } from './method.ts'
import { leafName, moduleOf, UnknownTarget } from './targets.ts'

/** A method that trains leaves whole whose names end with a word. */
export interface NamedWhole<Ending extends string> extends Reparametrisation {
  readonly params: this['in']
  readonly mask: unknown extends this['in'] ? Dynamic : MaskNamed<this['in'], Ending, false>
  readonly fault: unknown
}
/** `Around` is true inside a record with such a name, whose `weight` is meant. */
type MaskNamed<P, Ending extends string, Around extends boolean> = {
  readonly [K in keyof P]: P[K] extends Node
    ? K extends `${string}${Ending}`
      ? All
      : K extends 'weight'
        ? Around extends true
          ? All
          : Frozen
        : Frozen
    : MaskNamed<P[K], Ending, K extends `${string}${Ending}` ? true : false>
}

/** A method that trains the leaves whole that targets name. */
export const trainedWhole = <F extends Reparametrisation = Opaque>(
  name: string,
  targets: readonly string[],
): Method<F> =>
  leafwise<F, unknown>(name, targets, leaf => ({ becomes: leaf, mask: all, weight: own => own as typeof leaf }))

/**
 * A method that trains the leaves whole whose names end with a word.
 * @throws {UnknownTarget} if there are none
 */
export const namedWhole = <const Ending extends string>(name: string, ending: Ending): Method<NamedWhole<Ending>> => ({
  name,
  apply: params => {
    const paths = tensorsOf(params).flatMap(([path, { dtype }]) =>
      dtype === 'f32' && leafName(moduleOf(path)).endsWith(ending) ? [path] : [],
    )
    if (paths.length === 0) throw new UnknownTarget(`the model has no ${name} to train`)
    return trainedWhole<NamedWhole<Ending>>(name, paths).apply(params)
  },
})
