import * as E from '../../either/index.ts'
import { opaque } from '../facets.ts'
import { fitsByShape, node, type Node, type Op } from '../node.ts'

/** One of the results of a call, or of another op with several results. */
export const resultOp: Op<{ readonly index: number }> = {
  name: 'result',
  shape: ([call], { index }) => {
    const output = call!.op.several?.signatures(call!.attributes)[index]
    return output === undefined
      ? E.left(`result ${index}: there is no such output`)
      : E.right({ shape: output.shape, dtype: output.dtype })
  },
  misfit: fitsByShape,
  eval: () => {
    throw new Error('a result is read by the interpreter')
  },
  vjp: () => {
    throw new Error('a result is differentiated with its call')
  },
  flops: () => 0,
  ...opaque,
}

export const result = (call: Node, index: number): Node => node(resultOp, [call], { index })
