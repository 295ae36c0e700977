import fc from 'fast-check'
import { 
  abs, add, exp, log, matmul, mul, neg, parameter, square, sub, sum, typed, type Node, type Numbers, type Tensor,
} from '../src/tensor/index.ts'
import { matrix, norm, semidefinite, withSingularValues, type Spectral } from './matrices.ts'

type Matrix = Tensor<readonly ['in', 'out']>
type Outputs = Tensor<readonly ['rows', 'out']>
type Scalar = Tensor<readonly []>

/** A loss of one weight W [in, out] for a fixed batch, whose gradient's Lipschitz constant is known in closed form. */
export interface Loss {
  readonly name: string
  /** The leaf, and where it is. */
  readonly leaf: Node
  readonly at: Numbers
  readonly value: Scalar
  readonly data: ReadonlyMap<Node, Numbers>
  /** The least L with ‖∇f(V) − ∇f(W)‖ ≤ L ‖V − W‖ for all V, W. */
  readonly lipschitz: number
  /** The longest chain of additions in f or its gradient. */
  readonly terms: number
  /** A bound on every sum of absolute values that f, η‖∇f‖² and ηL‖∇f‖² are made of, for ‖W‖ + |η|‖∇f‖ ≤ radius: see `tolerance` in descent.ts. */
  readonly magnitude: (radius: number) => number
}
export type Family = 'isotropic' | 'quadratic' | 'leastSquares' | 'logistic' | 'logCosh'

/** Shapes are numbers: every loss has dims of its own. */
const leaf = (rows: number, columns: number): Node => parameter([rows, columns], 'f32')
const width = fc.integer({ min: 1, max: 5 })

/** f(W) = L/2 ‖W‖²: L is the only eigenvalue. */
const isotropic: fc.Arbitrary<Loss> = fc.tuple(width, width, fc.integer({ min: 1, max: 64 })).chain(([n, m, eighths]) => matrix(n, m).map(at => {
  const w = leaf(n, m), lipschitz = eighths / 8
  return {
    name: 'isotropic', leaf: w, at, data: new Map(), lipschitz, terms: n * m,
    value: mul(sum(square(typed<readonly [], 'f32'>(w))), lipschitz / 2), magnitude: radius => lipschitz * radius ** 2,
  }
}))

/** f(W) = ½ tr WᵀAW with A positive semidefinite: L = λmax(A). */
const quadraticAt = ({ matrix: a, largest }: Spectral, at: Numbers): Loss => {
  const [n, m] = at.sizes as [number, number], w = leaf(n, m), A = leaf(n, n)
  const W: Matrix = typed(w)
  return {
    name: 'quadratic', leaf: w, at, data: new Map([[A, a]]), lipschitz: largest, terms: n * m + n,
    value: mul(sum(mul(W, matmul(typed<readonly ['in', 'in'], 'f32'>(A), W))), 0.5), magnitude: radius => norm(a) * radius ** 2,
  }
}
const quadratic: fc.Arbitrary<Loss> = fc.tuple(width, width).chain(([n, m]) =>
  fc.tuple(semidefinite(n), matrix(n, m)).map(([a, at]) => quadraticAt(a, at)))

/** W = top eigenvector · cᵀ: the direction in which the quadratic is steepest. */
export const alongTop: fc.Arbitrary<Loss> = fc.tuple(width, width).chain(([n, m]) =>
  fc.tuple(semidefinite(n), matrix(1, m, fc.integer({ min: 1, max: 32 }).map(k => k / 16))).map(([a, c]) =>
    quadraticAt(a, { sizes: [n, m], data: Float64Array.from({ length: n * m }, (_, k) => a.top[Math.floor(k / m)]! * c.data[k % m]!) })))

/** f(W) = Σ φ(XW ∘ S − Y), φ'' ≤ c: ∇f is a linear layer's, and L = c σmax(X)². S holds signs. */
const linear = (name: Family, curvature: number, phi: (z: Outputs) => Outputs, labels: 'none' | 'targets' | 'signs'): fc.Arbitrary<Loss> =>
  fc.tuple(width, width, width).chain(([rows, n, m]) => fc.tuple(
    withSingularValues(rows, n), matrix(n, m),
    labels === 'signs' ? matrix(rows, m, fc.constantFrom(-1, 1)) : matrix(rows, m)).map(([{ matrix: x, largest }, at, y]) => {
    const w = leaf(n, m), X = leaf(rows, n), Y = leaf(rows, m), labelled: Outputs = typed(Y)
    const product: Outputs = matmul(typed<readonly ['rows', 'in'], 'f32'>(X), typed<readonly ['in', 'out'], 'f32'>(w))
    const z = labels === 'targets' ? sub(product, labelled) : labels === 'signs' ? mul(product, labelled) : product
    return {
      name, leaf: w, at, data: new Map([[X, x], [Y, y]]), lipschitz: curvature * largest ** 2, terms: n + rows + rows * m + n * m,
      value: sum(phi(z)), magnitude: radius => (norm(x) * radius + norm(y) + Math.sqrt(rows * m)) ** 2,
    }
  }))

/** log(1 + eᶻ) = (z + |z|) / 2 + log(1 + e^−|z|). With max(z, 0) for (z + |z|) / 2 the derivative at z = 0 would be that of a corner: 1, not ½. */
const softplus = (z: Outputs): Outputs => add(mul(add(z, abs(z)), 0.5), log(add(exp(neg(abs(z))), 1)))
/**
 * Every family: least squares has φ = z²/2 (c = 1), logistic φ = log(1 + e^−z) (c = ¼),
 * log-cosh φ = log cosh z = |z| + log(1 + e^−2|z|) − log 2 (c = 1).
 */
export const losses: Readonly<Record<Family, fc.Arbitrary<Loss>>> = {
  isotropic,
  quadratic,
  leastSquares: linear('leastSquares', 1, z => mul(square(z), 0.5), 'targets'),
  logistic: linear('logistic', 0.25, z => softplus(neg(z)), 'signs'),
  logCosh: linear('logCosh', 1, z => sub(add(abs(z), log(add(exp(mul(abs(z), -2)), 1))), Math.LN2), 'none'),
}
export const anyLoss: fc.Arbitrary<Loss> = fc.oneof(...Object.values(losses))
