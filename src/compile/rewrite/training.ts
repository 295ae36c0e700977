import { is, whenTrainingOp } from '../../tensor/index.ts'
import type { Rule } from './rule.ts'

/** whenTraining(a, b) = a in programs of a training step. */
export const takeTraining: Rule = {
  name: 'take-training',
  apply: n => (is(n, whenTrainingOp) ? n.inputs[0]! : undefined),
}

/** whenTraining(a, b) = b, if nothing is trained. */
export const takeOtherwise: Rule = {
  name: 'take-otherwise',
  apply: n => (is(n, whenTrainingOp) ? n.inputs[1]! : undefined),
}
