import { graphTarget } from './graph/target.ts'
import { nodeTarget } from './native/target.ts'
import { referenceTarget } from './reference/target.ts'
import { cpuTarget } from './tfjs/cpu-target.ts'
import { wasmTarget } from './tfjs/wasm-target.ts'
import type { Target } from './target.ts'

/** Every target. A new one is a line here. */
const all = [graphTarget, wasmTarget, nodeTarget, cpuTarget, referenceTarget] as const

/** The targets, in the order in which they are listed. */
export const registeredTargets: readonly Target<(typeof all)[number]['name']>[] = all

/** The name of a target; `auto` is the best of those that run here. */
export type TargetName = 'auto' | (typeof all)[number]['name']
/** The names of all targets, `auto` first. */
export const targetNames: readonly TargetName[] = ['auto', ...registeredTargets.map(({ name }) => name)]
