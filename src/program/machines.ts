import * as E from 'fp-ts/lib/Either.js'
import { byteCount, fail, type IoError } from '../text/index.ts'
import { machineMemory } from './pretrained.ts'

/** The memory of accelerators in bytes, as their maker states it: NVIDIA's data sheets. */
const accelerators = {
  'a100-80gb': 80e9,
  'h100': 80e9,
  'h200': 141e9,
} as const satisfies Readonly<Record<string, number>>

/** The names of machines that a step is planned for; `this` is the one that the program runs on. */
export const machineNames: readonly string[] = [...Object.keys(accelerators), 'this']

/** A machine that a step is planned for. */
export interface Machine {
  readonly name: string
  readonly bytes: number
}

/**
 * The memory of a machine by its name, or from a number of bytes. Errors: a name that is not known.
 * @example machineNamed('24GiB') // E.right({ name: '24GiB', bytes: 25769803776 })
 */
export const machineNamed = (name: string): E.Either<IoError, Machine> => {
  const own: Readonly<Record<string, number>> = { ...accelerators, this: machineMemory() }
  const bytes = Object.hasOwn(own, name) ? own[name] : byteCount(name)
  return bytes !== undefined
    ? E.right({ name, bytes })
    : fail(
        `--device ${name}: there is no such device: there are ${machineNames.join(', ')}, or a number of bytes such as 24GB or 24GiB`,
      )
}
