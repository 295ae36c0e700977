import { biasesMethod } from './biases.ts'
import { doraMethod } from './dora.ts'
import { fullMethod } from './full.ts'
import { ia3Method } from './ia3.ts'
import { loraMethod, lorafaMethod } from './lora.ts'
import { missMethod } from './miss.ts'
import { mosloraMethod } from './moslora.ts'
import { normsMethod } from './norms.ts'
import { pacaMethod } from './paca.ts'
import type { MethodRecord } from './record.ts'
import { s2ftMethod } from './s2ft.ts'
import { shiraMethod } from './shira.ts'
import { veraMethod } from './vera.ts'

/**
 * Every method, in the order in which they are listed. Every law tests a method that is added here, and the command
 * line offers it.
 */
const records = [
  pacaMethod,
  loraMethod,
  doraMethod,
  mosloraMethod,
  veraMethod,
  shiraMethod,
  lorafaMethod,
  missMethod,
  ia3Method,
  s2ftMethod,
  biasesMethod,
  normsMethod,
  fullMethod,
] as const

type Records = (typeof records)[number]
export type MethodName = Records['name']
/** The methods by name, with their types. */
export type Methods = { readonly [R in Records as R['name']]: R }

/** The methods by name. @example methods.lora.make({ targets: ['q_proj'], rank: 8, seed: 0 }) */
export const methods = Object.fromEntries(records.map(record => [record.name, record])) as Methods // each under its name
/** A method by name, as code for all of them sees it. @example recordOf('lora').rank?.default // 8 */
export const recordOf = (name: MethodName): MethodRecord => methods[name]
/** The names of the methods, in the order in which they are listed. */
export const methodNames: readonly MethodName[] = records.map(({ name }) => name)

/** The default method of a run. */
export const defaultMethod: MethodName = pacaMethod.name
/** The methods that are compared by default. */
export const comparedMethods: readonly MethodName[] = [pacaMethod.name, loraMethod.name]
/** The method whose adapters hold any low-rank change, as two factors and a scale. */
export const lowRankMethod = loraMethod.name
export type LowRankMethod = typeof lowRankMethod
