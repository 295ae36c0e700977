export { associate, distribute } from './distribute.ts'
export { checkDropout, dropInput, keepInput } from './dropout.ts'
export {
  layoutRules,
  movementRules,
  transposePointwise,
  transposeSplit,
  transposeTranspose,
  contractTranspose,
} from './layout.ts'
export { isMatrixProduct, laidOut } from './products.ts'
export { lowRankNorm } from './norm.ts'
export { rewrite, weighing, type Context, type Surroundings, type Rule } from './rule.ts'
export { scaleProduct } from './scale.ts'
export { expansion, simplifications, stopGradientValue } from './simplify.ts'
export { takeContract, takeElementwise, takeMerged, takeReshape, takeRules, takeTranspose } from './take.ts'
