import fc from 'fast-check'
import {
  abs,
  add,
  crossEntropy,
  exp,
  log,
  matmul,
  minimum,
  mul,
  neg,
  sigmoidBinaryCrossEntropy,
  square,
  squaredError,
  sub,
  sum,
  typed,
  u,
  type DType,
  type Node,
  type Numbers,
  type Tensor,
} from '../src/tensor/index.ts'
import {
  flat,
  mapped,
  matrix,
  norm,
  sixteenth,
  symmetric,
  vector,
  withSingularValues,
  type Curvature,
  type Spectral,
} from './matrices.ts'
import { inputsOf, rowsOf, trainedOf, type Layout } from './layout.ts'

type Matrix = Tensor<readonly ['in', 'out']>
type Outputs = Tensor<readonly ['rows', 'out']>
type Scalar = Tensor<readonly []>
export type Datum = Numbers & { readonly dtype?: DType }

/** A term of f, with bounds on its curvature in closed form. */
export interface Term extends Curvature {
  readonly loss: Loss
  readonly data: Readonly<Record<string, Datum>>
  /** A unit vector over the elements of W, in the trained part, along which `part` is reached, for a quadratic. */
  readonly top?: readonly number[]
  readonly rounding: Rounding
}
/**
 * The bound of its rounding: with M = slope ‖W‖ + offset, values have an error of at most γ_terms(u) · weight · M²,
 * gradients by γ_terms(u) · weight · slope · M; see rounding.ts.
 */
export interface Rounding {
  readonly terms: number
  readonly weight: number
  readonly slope: number
  readonly offset: number
}

/** φ of Σ φ(XW), element by element or row by row, and the most that its second derivative is. */
const curves = {
  leastSquares: { most: 1, labels: 'targets', of: (z: Outputs, y: Outputs): Outputs => mul(squaredError(z, y), 0.5) },
  sigmoid: { most: 1 / 4, labels: 'shares', of: sigmoidBinaryCrossEntropy<readonly ['rows', 'out']> },
  logistic: { most: 1 / 4, labels: 'signs', of: (z: Outputs, y: Outputs): Outputs => softplus(neg(mul(z, y))) },
  // diag(p) − ppᵀ has no eigenvalue above ½ (Böhning 1992)
  softmax: {
    most: 1 / 2,
    labels: 'classes',
    of: (z: Outputs, y: Node): Outputs =>
      typed(u.reshape(crossEntropy(z, typed<readonly ['rows'], 'i32'>(y)), [z.shape[0], 1])),
  },
  logCosh: { most: 1, labels: 'targets', of: (z: Outputs, y: Outputs): Outputs => logCosh(sub(z, y)) },
  huber: { most: 1, labels: 'targets', of: (z: Outputs, y: Outputs): Outputs => huber(abs(sub(z, y))) },
} as const
type Curve = keyof typeof curves
export type Loss = 'isotropic' | 'separable' | 'quadratic' | 'indefinite' | 'noise' | Curve

/**
 * log(1 + eᶻ) = (z + |z|)/2 + log(1 + e^−|z|). With max(z, 0) for (z + |z|)/2 the derivative at 0 would be that of a
 * corner: 1, not ½.
 */
const softplus = (z: Outputs): Outputs => add(mul(add(z, abs(z)), 0.5), log(add(exp(neg(abs(z))), 1)))
/** log cosh z = |z| + log(1 + e^−2|z|) − log 2. */
const logCosh = (z: Outputs): Outputs => sub(add(abs(z), log(add(exp(mul(abs(z), -2)), 1))), Math.LN2)
/**
 * z²/2 for |z| ≤ 1, |z| − ½ beyond: m (|z| − m/2) with m = min(|z|, 1). Its derivative is Lipschitz and has corners.
 */
const huber = (z: Outputs): Outputs => {
  const m = minimum(z, 1)
  return mul(m, sub(z, mul(m, 0.5)))
}

/** A term as an expression of W and its data. */
export const valueOf = ({ loss, data }: Term, w: Matrix, leaves: Readonly<Record<string, Node>>): Scalar => {
  switch (loss) {
    case 'isotropic':
    case 'separable':
      return mul(sum(mul(square(w), typed<readonly ['in', 'out'], 'f32'>(leaves.D!))), 0.5)
    case 'noise':
      return sum(mul(w, typed<readonly ['in', 'out'], 'f32'>(leaves.C!)))
    case 'quadratic':
    case 'indefinite': {
      const column = typed<readonly ['all', 1], 'f32'>(u.reshape(w, [data.A!.sizes[0]!, 1]))
      return mul(sum(mul(column, matmul(typed<readonly ['all', 'all'], 'f32'>(leaves.A!), column))), 0.5)
    }
    default: {
      // X C W B, in which C and B are optional
      const factors = [leaves.X, leaves.C, w, leaves.B].filter(factor => factor !== undefined)
      const z = factors.reduce((product, factor) =>
        matmul(typed<readonly ['rows', 'in'], 'f32'>(product), typed<Matrix['shape'], 'f32'>(factor)),
      )
      return sum(mul(curves[loss].of(typed(z), typed(leaves.Y!)), typed<readonly ['rows', 1], 'f32'>(leaves.q!)))
    }
  }
}

const ones = (rows: number): Numbers => ({ sizes: [rows, 1], data: new Float64Array(rows).fill(1) })
const labelsOf = {
  targets: sixteenth,
  signs: fc.constantFrom(-1, 1),
  shares: fc.integer({ min: 0, max: 8 }).map(k => k / 8),
}
const most = (values: readonly number[]): number => Math.max(0, ...values)

/** f(W) = ½ Σ dᵢ wᵢ² with dᵢ ≥ 0, or one d: the curvature inside a mask is the largest dᵢ in it, exactly. */
const separable =
  (loss: 'isotropic' | 'separable', same: boolean) =>
  (layout: Layout): fc.Arbitrary<Term> => {
    const trained = trainedOf(layout)
    const sizes = [inputsOf(layout), layout.outputs]
    const eighth = fc.integer({ min: 1, max: 64 }).map(k => k / 8)
    return (same ? eighth.map(value => trained.map(() => value)) : vector(trained.length, eighth)).map(d => {
      const part = most(d.filter((_, i) => trained[i]))
      const first = d.findIndex((value, i) => trained[i] && value === part)
      return {
        loss,
        data: { D: { sizes, data: Float64Array.from(d) } },
        whole: most(d),
        part,
        above: part,
        outside: most(d.filter((_, i) => !trained[i])),
        top: d.map((_, i) => Number(i === first)),
        rounding: { terms: d.length + 6, weight: most(d), slope: 1, offset: 0 },
      }
    })
  }

/**
 * f(W) = ½ wᵀAw, w the elements of W: every leaf is coupled with every other, and the curvature inside the mask is that
 * of the block.
 */
const quadratic =
  (loss: 'quadratic' | 'indefinite') =>
  (layout: Layout): fc.Arbitrary<Term> => {
    const trained = trainedOf(layout)
    const { length } = trained
    return symmetric(trained, loss === 'quadratic').map(({ matrix: A, ...spectrum }) => ({
      loss,
      data: { A },
      ...spectrum,
      rounding: { terms: 2 * length + 6, weight: norm(A), slope: 1, offset: 0 },
    }))
  }

/** ⟨C, W⟩, without curvature: noise of a gradient. */
export const noise = (layout: Layout): fc.Arbitrary<Term> =>
  matrix(inputsOf(layout), layout.outputs).map(C => ({
    loss: 'noise',
    data: { C },
    ...flat,
    rounding: { terms: C.data.length + 4, weight: 1, slope: 1, offset: norm(C) },
  }))

/**
 * f(W) = Σ qᵢ φ((X C W B − Y)ᵢ): its Hessian is at most φ'' max q (XC)ᵀ(XC) ⊗ BBᵀ, and the mask chooses columns of X,
 * or of C.
 */
const linear =
  (loss: Curve, composed: boolean) =>
  (layout: Layout): fc.Arbitrary<Term> => {
    const { most: curve, labels } = curves[loss]
    const n = inputsOf(layout)
    const chosen = rowsOf(layout)
    return fc
      .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 }))
      .chain(([rows, inner, to]) => {
        const outputs = composed ? to : layout.outputs
        const all = (length: number): readonly boolean[] => Array<boolean>(length).fill(true)
        const factors: fc.Arbitrary<readonly Spectral[]> = composed
          ? fc.tuple(
              withSingularValues(inner, chosen),
              withSingularValues(rows, all(inner)),
              withSingularValues(layout.outputs, all(outputs)),
            )
          : fc.tuple(withSingularValues(rows, chosen))
        const y =
          labels === 'classes'
            ? matrix(rows, 1, fc.integer({ min: 0, max: outputs - 1 }))
            : matrix(rows, outputs, labelsOf[labels])
        return fc.tuple(factors, y).map(([[first, ...others], Y]) => {
          const scale = curve * others.reduce((product, { whole }) => product * whole ** 2, 1)
          const given = [first!, ...others].map(({ matrix: m }) => m)
          const label: Datum = labels === 'classes' ? { sizes: [rows], data: Y.data, dtype: 'i32' } : Y
          const elements = rows * outputs
          const data = {
            ...(composed ? { C: given[0]!, X: given[1]!, B: given[2]! } : { X: given[0]! }),
            Y: label,
            q: ones(rows),
          }
          return {
            loss,
            data,
            ...mapped(first!, value => scale * value ** 2),
            // inner lengths of the products and of their transposes, the sum over elements, a softmax over outputs, 24
            // for each element, and 6
            rounding: {
              terms: n + elements + rows + layout.outputs + 2 * outputs + (composed ? 2 * inner : 0) + 30,
              weight: 1,
              slope: given.reduce((product, m) => product * norm(m), 1),
              offset: (labels === 'targets' ? norm(Y) : 0) + Math.sqrt(elements),
            },
          }
        })
      })
  }

/** Every family of losses, each for a layout. */
export const families = {
  isotropic: separable('isotropic', true),
  separable: separable('separable', false),
  quadratic: quadratic('quadratic'),
  indefinite: quadratic('indefinite'),
  leastSquares: linear('leastSquares', false),
  logistic: linear('logistic', false),
  sigmoid: linear('sigmoid', false),
  softmax: linear('softmax', false),
  logCosh: linear('logCosh', false),
  huber: linear('huber', false),
} as const
/** The losses of a linear layer. */
export const layers = ['leastSquares', 'logistic', 'sigmoid', 'softmax', 'logCosh', 'huber'] as const
const composed = layers.map(loss => linear(loss, true))
const every = [...Object.values(families), ...composed]
const oneOf = (
  among: readonly ((layout: Layout) => fc.Arbitrary<Term>)[],
  layout: Layout,
): fc.Arbitrary<readonly Term[]> =>
  fc.array(fc.oneof(...among.map(family => family(layout))), { minLength: 1, maxLength: 2 })

/** One term, or the sum of two. */
export const anyTerms = (layout: Layout): fc.Arbitrary<readonly Term[]> => oneOf(every, layout)
/** The same with f ≥ 0. */
export const nonNegative = (layout: Layout): fc.Arbitrary<readonly Term[]> =>
  oneOf(
    every.filter(family => family !== families.indefinite),
    layout,
  )
export const only =
  (family: keyof typeof families) =>
  (layout: Layout): fc.Arbitrary<readonly Term[]> =>
    families[family](layout).map(term => [term])
