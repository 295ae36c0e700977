/**
 * Selects the columns to train, by their weights or by their gradients, and carries state over to another selection.
 */
export { carryState, type Selection } from './carry.ts'
export { largest, selectByScore, selectByWeight, squaredNorms } from './score.ts'
