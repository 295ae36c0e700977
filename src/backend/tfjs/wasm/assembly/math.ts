// Transcendental functions on four lanes. NaN in, NaN out; every error is below 4e-7 relative (tested).
import { add, mul, sub } from './lanes'

/** e^x. Range reduction by ln 2 in two parts, then a polynomial of degree 7 (Cephes expf). Gives 0, subnormals and Infinity where due. */
@inline
export function exp4(x: v128): v128 {
  // pmin and pmax keep the first operand unless the comparison holds, so NaN passes through.
  const bounded = f32x4.pmax(f32x4.pmin(x, f32x4.splat(90)), f32x4.splat(-105))
  const magic = f32x4.splat(12582912) // 1.5 * 2^23: adding it rounds to an integer, which is left in the low bits
  const shifted = add(mul(bounded, f32x4.splat(1.44269504088896341)), magic)
  const n = sub(shifted, magic)
  let r = sub(bounded, mul(n, f32x4.splat(0.693359375)))
  r = add(r, mul(n, f32x4.splat(2.12194440e-4)))
  let p = f32x4.splat(1.9875691500e-4)
  p = add(mul(p, r), f32x4.splat(1.3981999507e-3))
  p = add(mul(p, r), f32x4.splat(8.3334519073e-3))
  p = add(mul(p, r), f32x4.splat(4.1665795894e-2))
  p = add(mul(p, r), f32x4.splat(1.6666665459e-1))
  p = add(mul(p, r), f32x4.splat(5.0000001201e-1))
  p = add(add(mul(p, mul(r, r)), r), f32x4.splat(1))
  // 2^n as a product of two powers, so that n = 128 and the subnormal range come out right.
  const exponent = i32x4.sub(shifted, magic)
  const half = i32x4.shr_s(exponent, 1)
  const bias = i32x4.splat(127)
  const low = i32x4.shl(i32x4.add(half, bias), 23)
  const high = i32x4.shl(i32x4.add(i32x4.sub(exponent, half), bias), 23)
  return mul(mul(p, low), high)
}

/** e^x for x <= 0, as in softmax: 0 below -87.3, no overflow to care for. */
@inline
export function expNegative4(x: v128): v128 {
  const bounded = f32x4.pmax(x, f32x4.splat(-87.33))
  const magic = f32x4.splat(12582912)
  const shifted = add(mul(bounded, f32x4.splat(1.44269504088896341)), magic)
  const n = sub(shifted, magic)
  let r = sub(bounded, mul(n, f32x4.splat(0.693359375)))
  r = add(r, mul(n, f32x4.splat(2.12194440e-4)))
  let p = f32x4.splat(1.9875691500e-4)
  p = add(mul(p, r), f32x4.splat(1.3981999507e-3))
  p = add(mul(p, r), f32x4.splat(8.3334519073e-3))
  p = add(mul(p, r), f32x4.splat(4.1665795894e-2))
  p = add(mul(p, r), f32x4.splat(1.6666665459e-1))
  p = add(mul(p, r), f32x4.splat(5.0000001201e-1))
  p = add(add(mul(p, mul(r, r)), r), f32x4.splat(1))
  const power = i32x4.add(i32x4.shl(shifted, 23), i32x4.splat(127 << 23))
  return v128.andnot(mul(p, power), f32x4.lt(x, f32x4.splat(-87.33)))
}

/** Natural logarithm (Cephes logf). log 0 = -Infinity, of a negative number NaN. */
@inline
export function log4(x: v128): v128 {
  const tiny = f32x4.lt(x, f32x4.splat(1.17549435e-38))
  const scaled = v128.bitselect(mul(x, f32x4.splat(8388608)), x, tiny)
  let e = f32x4.convert_i32x4_s(i32x4.sub(i32x4.shr_u(scaled, 23), i32x4.splat(126)))
  e = sub(e, v128.and(tiny, f32x4.splat(23)))
  let m = v128.or(v128.and(scaled, i32x4.splat(0x007fffff)), f32x4.splat(0.5)) // in [0.5, 1)
  const small = f32x4.lt(m, f32x4.splat(0.707106781186547524))
  e = sub(e, v128.and(small, f32x4.splat(1)))
  m = add(sub(m, f32x4.splat(1)), v128.and(small, m))
  const z = mul(m, m)
  let p = f32x4.splat(7.0376836292e-2)
  p = add(mul(p, m), f32x4.splat(-1.1514610310e-1))
  p = add(mul(p, m), f32x4.splat(1.1676998740e-1))
  p = add(mul(p, m), f32x4.splat(-1.2420140846e-1))
  p = add(mul(p, m), f32x4.splat(1.4249322787e-1))
  p = add(mul(p, m), f32x4.splat(-1.6668057665e-1))
  p = add(mul(p, m), f32x4.splat(2.0000714765e-1))
  p = add(mul(p, m), f32x4.splat(-2.4999993993e-1))
  p = add(mul(p, m), f32x4.splat(3.3333331174e-1))
  let y = mul(mul(p, m), z)
  y = add(y, mul(e, f32x4.splat(-2.12194440e-4)))
  y = sub(y, mul(z, f32x4.splat(0.5)))
  const result = add(add(m, y), mul(e, f32x4.splat(0.693359375)))
  const infinity = f32x4.splat(Infinity)
  let out = v128.bitselect(infinity, result, f32x4.eq(x, infinity))
  out = v128.bitselect(f32x4.splat(-Infinity), out, f32x4.eq(x, f32x4.splat(0)))
  return v128.or(out, v128.not(f32x4.ge(x, f32x4.splat(0)))) // all bits set is a NaN
}

/** log (1 + x), precise near 0: the rounding of 1 + x is undone by a factor (Kahan). */
@inline
export function log1p4(x: v128): v128 {
  const one = f32x4.splat(1)
  const u = add(one, x)
  const rounded = sub(u, one)
  const y = mul(log4(u), f32x4.div(x, rounded))
  const infinity = f32x4.splat(Infinity)
  return v128.bitselect(x, y, v128.or(f32x4.eq(rounded, f32x4.splat(0)), f32x4.eq(x, infinity)))
}

/** Hyperbolic tangent: a rational function of odd over even degree, 13 over 6 (Eigen). */
@inline
export function tanh4(x: v128): v128 {
  const limit: f32 = 7.90531110763549805
  const b = f32x4.pmax(f32x4.pmin(x, f32x4.splat(limit)), f32x4.splat(-limit))
  const z = mul(b, b)
  let p = f32x4.splat(-2.76076847742355e-16)
  p = add(mul(p, z), f32x4.splat(2.00018790482477e-13))
  p = add(mul(p, z), f32x4.splat(-8.60467152213735e-11))
  p = add(mul(p, z), f32x4.splat(5.12229709037114e-08))
  p = add(mul(p, z), f32x4.splat(1.48572235717979e-05))
  p = add(mul(p, z), f32x4.splat(6.37261928875436e-04))
  p = add(mul(p, z), f32x4.splat(4.89352455891786e-03))
  let q = f32x4.splat(1.19825839466702e-06)
  q = add(mul(q, z), f32x4.splat(1.18534705686654e-04))
  q = add(mul(q, z), f32x4.splat(2.26843463243900e-03))
  q = add(mul(q, z), f32x4.splat(4.89352518554385e-03))
  const y = f32x4.div(mul(b, p), q)
  return v128.bitselect(x, y, f32x4.lt(f32x4.abs(x), f32x4.splat(0.0004)))
}

/** The error function: a rational function of odd over even degree, 9 over 12 (XLA), which rounds to 1 beyond the bound. */
@inline
export function erf4(x: v128): v128 {
  const limit: f32 = 3.832506856900711
  const b = f32x4.pmax(f32x4.pmin(x, f32x4.splat(limit)), f32x4.splat(-limit))
  const z = mul(b, b)
  let p = f32x4.splat(2.2905065861350646e-4)
  p = add(mul(p, z), f32x4.splat(3.4082910107109506e-3))
  p = add(mul(p, z), f32x4.splat(5.0955695062380861e-2))
  p = add(mul(p, z), f32x4.splat(1.8520832239976145e-1))
  p = add(mul(p, z), f32x4.splat(1.128379143519084))
  let q = f32x4.splat(-1.1791602954361697e-7)
  q = add(mul(q, z), f32x4.splat(2.3547966471313185e-5))
  q = add(mul(q, z), f32x4.splat(1.0179625278914885e-3))
  q = add(mul(q, z), f32x4.splat(1.4070470171167667e-2))
  q = add(mul(q, z), f32x4.splat(1.1098505178285362e-1))
  q = add(mul(q, z), f32x4.splat(4.9746925110067538e-1))
  q = add(mul(q, z), f32x4.splat(1))
  return f32x4.pmax(f32x4.pmin(f32x4.div(mul(b, p), q), f32x4.splat(1)), f32x4.splat(-1))
}

/** 1 / (1 + e^-x). */
@inline
export function sigmoid4(x: v128): v128 {
  return f32x4.div(f32x4.splat(1), add(f32x4.splat(1), exp4(f32x4.neg(x))))
}
