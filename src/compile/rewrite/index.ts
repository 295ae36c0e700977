import { associate, distribute } from './distribute.ts'
import { convolveLowRank, reshapeLowRank } from './low-rank.ts'
import { lowRankNorm } from './norm.ts'
import type { Rule } from './rule.ts'
import { scaleProduct } from './scale.ts'

export { associate, distribute } from './distribute.ts'
export { checkDropout, dropInput, dropTrained, keepInput, keepTrained } from './dropout.ts'
export {
  layoutRules,
  movementRules,
  transposePointwise,
  transposeSplit,
  transposeTranspose,
  contractTranspose,
} from './layout.ts'
export { isMatrixProduct, laidOut } from './products.ts'
export { convolveLowRank, reshapeLowRank } from './low-rank.ts'
export { lowRankNorm } from './norm.ts'
export { rewrite, weighing, type Context, type Surroundings, type Rule } from './rule.ts'
export { scaleProduct } from './scale.ts'
export { expansion, simplifications, stopGradientValue } from './simplify.ts'
export { takeComposite, takeContract, takeElementwise, takeMerged, takeReshape, takeRules } from './take.ts'
export { takeTranspose, takeWindows } from './take.ts'
export { takeOtherwise, takeTraining } from './training.ts'

/** The rules that take apart weights that are expressions, in their order. */
export const weightRules: readonly Rule[] = [
  distribute,
  associate,
  reshapeLowRank,
  convolveLowRank,
  scaleProduct,
  lowRankNorm,
]
