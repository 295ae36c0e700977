import { DataMismatch, type Bound, type Node, type Numbers } from '../tensor/index.ts'
import { SessionError } from './device.ts'

/** An op's own float64 meaning. @throws {SessionError} where the data are not what it takes */
export const meant = ({ op, attributes, inputs: declared }: Node, inputs: readonly Numbers[], { sizes, size }: Omit<Bound, 'inputs'>): Numbers => {
  try { return op.eval(inputs, attributes, { sizes, size, inputs: declared }) } catch (error) {
    throw error instanceof DataMismatch ? new SessionError(error.message, { cause: error }) : error
  }
}
