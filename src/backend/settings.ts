import type { Value } from '../tensor/index.ts'
import { isTensor, mapTree, settingsIn } from '../tune/index.ts'
import { SessionError } from './device.ts'

const number = (data: number): Value<readonly []> => ({
  shape: [],
  sizes: [],
  dtype: 'f32',
  data: Float32Array.of(data),
})

/**
 * The part of a state that new settings replace, as values.
 * @throws {SessionError} for a setting that no transform keeps in the state, and for one that is out of its range
 */
export const changedSettings = (
  state: unknown,
  given: Readonly<Record<string, number | undefined>>,
  check?: (settings: Readonly<Record<string, number>>) => void,
): unknown => {
  const settings = Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])),
  )
  const names = settingsIn(state)
  const known = [...new Set(names.values())]
  const unknown = Object.keys(settings).find(name => !known.includes(name))
  if (unknown !== undefined)
    throw new SessionError(
      known.length === 0
        ? `no transform has a setting ${unknown} that may change: inject(adamw, { lr: 1e-4 }) has one`
        : `no transform has a setting ${unknown} that may change: there are ${known.join(', ')}`,
    )
  try {
    check?.(settings)
  } catch (error) {
    throw error instanceof RangeError ? new SessionError(error.message) : error
  }
  return mapTree(state, isTensor, (_, path): Value<readonly []> | undefined => {
    const name = names.get(path)
    return name === undefined || settings[name] === undefined ? undefined : number(settings[name])
  })
}
