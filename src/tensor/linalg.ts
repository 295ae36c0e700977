/** Matrices, or many of them: diagonals, products of vectors, inverses, determinants and triangular factors. */
export * from './op/linalg.ts'
export { cholesky, determinant, inverse, logDeterminant, solve } from './elimination.ts'
