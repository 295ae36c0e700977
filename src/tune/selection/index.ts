/** Which columns are trained: by their weights, by their gradients; and what is carried over to another selection. */
export { carryState, type Selection } from './carry.ts'
export { addedScores, largest, selectByScore, selectByWeight, squaredNorms } from './score.ts'
