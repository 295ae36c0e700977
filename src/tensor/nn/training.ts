import { node, ruled, type Node, type Op } from '../node.ts'
import { binary } from '../op/binary.ts'
import { composite, unlike } from '../op/composite.ts'
import { typesFault } from '../op/types.ts'
import { scalarOf, type Operand } from '../op/verb.ts'
import { u } from '../op/untyped.ts'
import { broadcast } from '../shape/index.ts'

const marked = composite<object>({
  name: 'whenTraining',
  kind: 'movement',
  refuses: ([training, otherwise]) => unlike('what training takes', training!, otherwise!.shape, otherwise!.dtype),
  expand: ([, otherwise]) => otherwise!,
  vjp: (_, dy) => {
    const zero = u.broadcastTo(u.constant(0), dy.shape)
    return [node(whenTrainingOp, [dy, zero], {}), node(whenTrainingOp, [zero, dy], {})]
  },
  cheap: true,
})
/**
 * (training, otherwise), of one shape => otherwise: marks what a training step computes instead. Its vjp marks the
 * cotangents, so that they flow into the operand that was taken.
 */
export const whenTrainingOp: Op<object> = {
  ...marked,
  // what is not taken is cut too: both have one shape
  along: ({ inputs }, axis) => inputs.map(() => axis),
}

/**
 * `a` in training steps and their gradients, and `b` everywhere else: in `evaluate`, `predict`, `compute` and a
 * decoder. Both are broadcast from the right, and either may be a number.
 * @example nn.whenTraining(mean(x, 'batch'), buffers.mean)
 */
export const whenTraining = binary<'whenTraining', 'same'>((a: Operand, b: Operand): Node => {
  const isInteger = [a, b].some(x => typeof x !== 'number' && x.dtype === 'i32')
  const [training, otherwise] = [a, b].map(x =>
    typeof x === 'number' ? scalarOf('whenTraining', x, isInteger ? 'i32' : 'f32') : x,
  ) as [Node, Node]
  ruled(typesFault('whenTraining', [training, otherwise], ['f32', 'i32', 'bool']))
  const shape = ruled(broadcast(training.shape, otherwise.shape))
  return node(whenTrainingOp, [u.broadcastTo(training, shape), u.broadcastTo(otherwise, shape)], {})
})
