import { count, DataMismatch, type Bound, type Node, type Numbers } from '../tensor/index.ts'
import { SessionError } from './device.ts'

const evaluated = (
  { op, attributes, inputs: declared }: Node,
  inputs: readonly Numbers[],
  bound: Omit<Bound, 'inputs'>,
): Numbers => {
  try {
    return op.eval(inputs, attributes, { ...bound, inputs: declared })
  } catch (error) {
    throw error instanceof DataMismatch ? new SessionError(error.message, { cause: error }) : error
  }
}

/**
 * An op's own float64 meaning.
 * @throws {SessionError} if the data are not valid operands, or if the result of a foreign op is not as large as its
 * shape
 */
export const meant = (n: Node, inputs: readonly Numbers[], bound: Omit<Bound, 'inputs'>): Numbers => {
  const made = evaluated(n, inputs, bound)
  const expected = count(bound.sizes)
  if (made.data.length !== expected)
    throw new SessionError(`${n.op.name}: gives ${made.data.length} numbers, where its shape says ${expected}`)
  return made
}
