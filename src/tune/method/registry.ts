import { doraMethod } from './dora.ts'
import { fullMethod } from './full.ts'
import { loraMethod, lorafaMethod } from './lora.ts'
import { missMethod } from './miss.ts'
import { mosloraMethod } from './moslora.ts'
import { pacaMethod } from './paca.ts'
import type { MethodRecord } from './record.ts'
import { shiraMethod } from './shira.ts'
import { veraMethod } from './vera.ts'

/** Every method, in the order in which they are listed. One that is added here is tested by every law and offered. */
const records = [
  pacaMethod,
  loraMethod,
  doraMethod,
  mosloraMethod,
  veraMethod,
  shiraMethod,
  lorafaMethod,
  missMethod,
  fullMethod,
] as const

type Records = (typeof records)[number]
export type MethodName = Records['name']
/** The methods by name, as `tsc` knows them. */
export type Methods = { readonly [R in Records as R['name']]: R }

/** The methods by name. @example methods.lora.make({ targets: ['q_proj'], rank: 8, seed: 0 }) */
export const methods = Object.fromEntries(records.map(record => [record.name, record])) as Methods // each under its name
/** A method by name, as code reads it that is for all of them. @example recordOf('lora').rank?.default // 8 */
export const recordOf = (name: MethodName): MethodRecord => methods[name]
/** The names of the methods, in the order in which they are listed. */
export const methodNames: readonly MethodName[] = records.map(({ name }) => name)

/** The method of a run that names none. */
export const defaultMethod: MethodName = pacaMethod.name
/** The methods that are compared unless others are named. */
export const comparedMethods: readonly MethodName[] = [pacaMethod.name, loraMethod.name]
/** The method whose adapters hold any low-rank change, as two factors and a scale. */
export const lowRankMethod = loraMethod.name
export type LowRankMethod = typeof lowRankMethod
