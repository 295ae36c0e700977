import { graphTarget } from './graph/target.ts'
import { nodeTarget } from './native/target.ts'
import { referenceTarget } from './reference/target.ts'
import { cpuTarget } from './tfjs/cpu-target.ts'
import { wasmTarget } from './tfjs/wasm-target.ts'
import type { Target } from './target.ts'

const named = <Name extends string>(targets: readonly Target<Name>[]): readonly Target<Name>[] => targets

/** The targets, in the order in which they are listed. A new one is a line here. */
export const registeredTargets = named([graphTarget, wasmTarget, nodeTarget, cpuTarget, referenceTarget])

/** The name of a target; `auto` is the best of those that run here. */
export type TargetName = 'auto' | (typeof registeredTargets)[number]['name']
/** The names of all targets, `auto` first. */
export const targetNames: readonly TargetName[] = ['auto', ...registeredTargets.map(({ name }) => name)]
