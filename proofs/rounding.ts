import type { Numbers } from '../src/tensor/index.ts'
import type { Rounding } from './losses.ts'
import { norm } from './matrices.ts'
import { curvature, type Problem } from './problem.ts'

/**
 * Bounds of the distance that rounding can put between the two sides of an inequality: derived here, and used with u =
 * 2⁻⁵³ and with u = 2⁻²⁴ alike.
 *
 * Model (Higham 2002, §2.2, §3.1): fl(a ∘ b) = (a ∘ b)(1 + δ), |δ| ≤ u; a sum or inner product of n terms, in whatever
 * order, is off by at most γₙ Σ|terms| with γₙ = nu/(1 − nu), a product of matrices by γₙ‖A‖‖B‖; γₐ + γᵦ + γₐγᵦ ≤ γₐ₊ᵦ.
 * ‖·‖ is the Frobenius norm. Of exp, log and the sigmoid it is assumed that they are off by 4u: relative for exp and
 * the sigmoid, absolute for log on [1, ∞). Nothing is assumed of the order of a product X C W B or of a sum, which a
 * compiler may choose. Underflow, below 2⁻¹²⁶, is below u, and paid for where M ≥ √N ≥ 1 is.
 *
 * Values. f = Σ φ(z), z = XCWB − Y with N elements: ‖ẑ − z‖ ≤ ζ = γₐR, where R = ‖X‖‖C‖‖B‖‖W‖ + ‖Y‖ and a is the sum of
 * the inner lengths, plus 1. Put M = R + √N.
 *   (i) every φ here has |φ'(z)| ≤ |z| + 1 and |φ''| ≤ 1, hence Σ|φ(ẑ) − φ(z)| ≤ Σ(|z| + 1 + ζ)|ẑ − z| ≤ (1 + γ) M ζ;
 *  (ii) its evaluation takes κ ≤ 24 roundings of quantities ≤ (|z| + 1)² (a softmax of c classes: c more), hence costs γ_κ M²;
 * (iii) the sum of N terms, 0 ≤ φ ≤ (|z| + 1)², costs γ_N M². Together γₖM² with k = a + κ + N + 3. The 3 also pay for
 * the division by the count, for a sum of two terms, and for (1 + γ). Gradients. ∇f = (XC)ᵀ φ'(z) Bᵀ, ‖φ'‖ ≤ M,
 * computed from ẑ: ‖φ'(ẑ) − φ'(z)‖ ≤ ζ ≤ γₐM, its evaluation costs γ_κM, the products γ_b slope M with slope =
 * ‖X‖‖C‖‖B‖ and b the sum of their inner lengths: together γₖ slope M with k = a + κ + b. Hessian-vector products. Hv =
 * (XC)ᵀ (φ''(z) ∘ (XC v B)) Bᵀ with |φ''|, |φ'''| ≤ 1, by reverse mode twice: what precedes, of quantities ≤ (|z| +
 * 1)|XC v B|, with at most twice as many roundings: γ₂ₖ slope² (M + 1) ‖v‖. Quadratics. ½wᵀAw: γ₂ₙ₊₆‖A‖‖w‖², and for
 * its gradient γ₂ₙ₊₆‖A‖‖w‖; the same with A = diag(d). ⟨C, W⟩: γₙ‖C‖‖W‖ ≤ γₙ(‖W‖ + ‖C‖)².
 */
const gamma = (n: number, u: number): number => (n * u) / (1 - n * u)
export const float64 = 2 ** -53
export const float32 = 2 ** -24

/** The largest error of f(W). */
export const valueError = (problem: Problem, w: Numbers, u: number): number =>
  total(problem, ({ terms: k, weight, slope, offset }) => gamma(k, u) * weight * (slope * norm(w) + offset) ** 2)
/** The largest error of ‖∇f(W)‖, or of any part of it. */
export const gradientError = (problem: Problem, w: Numbers, u: number): number =>
  total(problem, ({ terms: k, weight, slope, offset }) => gamma(k, u) * weight * slope * (slope * norm(w) + offset))
/** The largest error of ‖∇²f(W) v‖, or of any part of it. */
export const hessianError = (problem: Problem, w: Numbers, v: Numbers, u: number): number =>
  total(
    problem,
    ({ terms: k, weight, slope, offset }) =>
      gamma(2 * k, u) * weight * slope ** 2 * (slope * norm(w) + offset + 1) * norm(v),
  )
const total = ({ terms, count }: Problem, of: (rounding: Rounding) => number): number =>
  terms.reduce((sum, { rounding }) => sum + of(rounding), 0) / count

/** A step as it was computed: η, the gradient's norm inside the mask, W and W⁺, and the loss at both. */
export interface Moved {
  readonly eta: number
  readonly gradientNorm: number
  readonly at: Numbers
  readonly next: Numbers
  readonly before: number
  readonly after: number
}

/**
 * The largest amount by which the computed f(W⁺) − f(W) + η(1 − ηL/2)‖ĝ‖² can exceed 0: W and W⁺ are the stored values,
 * ĝ = g + Δ is the computed gradient inside the mask, and W⁺ = W − ηĝ + e, where two roundings of each changed element
 * give ‖e‖ ≤ γ₃(‖W‖ + |η|‖ĝ‖). W⁺ − W is in the range of P exactly, so the descent lemma holds for it: f(W⁺) ≤ f(W) +
 * ⟨g, W⁺ − W⟩ + L/2‖W⁺ − W‖². After inserting these, the excess over the claim is at most |η|‖Δ‖‖ĝ‖ + (‖g‖ +
 * |η|L‖ĝ‖)‖e‖ + L/2‖e‖², plus the errors of both values, and those of the comparison itself, which is made in float64.
 */
export const stepError = (
  problem: Problem,
  { eta, gradientNorm, at, next, before, after }: Moved,
  u: number,
): number => {
  const { part } = curvature(problem)
  const delta = gradientError(problem, at, u)
  const e = gamma(3, u) * (norm(at) + Math.abs(eta) * gradientNorm)
  const comparison =
    16 * float64 * (Math.abs(before) + Math.abs(after) + Math.abs(eta) * (1 + Math.abs(eta) * part) * gradientNorm ** 2)
  return (
    valueError(problem, at, u) +
    valueError(problem, next, u) +
    Math.abs(eta) * delta * gradientNorm +
    (gradientNorm + delta + Math.abs(eta) * part * gradientNorm) * e +
    (part / 2) * e ** 2 +
    comparison
  )
}
