import { node, typed, type Op, type Tensor } from '../node.ts'
import { composite, unlike } from '../op/composite.ts'
import type { Shape } from '../shape/index.ts'
import { u } from '../op/untyped.ts'

/** x => x σ(x) (Elfwing et al. 2017). */
export const siluOp: Op<object> = composite<object>({
  name: 'silu',
  kind: 'elementwise',
  expand: ([x]) => u.mul(x!, u.sigmoid(x!)),
  vjp: ({ inputs: [x] }, dy) => [node(siluGradOp, [dy, x!], {})],
  cheap: true,
})

/** (dy, x) => dy σ (1 + x (1 − σ)). */
export const siluGradOp: Op<object> = composite<object>({
  name: 'siluGrad',
  kind: 'elementwise',
  refuses: ([dy, x]) => unlike('dy', dy!, x!.shape),
  expand: ([dy, x]) => {
    const s = u.sigmoid(x!)
    return u.mul(dy!, u.mul(s, u.add(1, u.mul(x!, u.sub(1, s)))))
  },
  cheap: true,
})

/** x => x Φ(x), with the exact error function (Hendrycks and Gimpel 2016). */
export const geluOp: Op<object> = composite<object>({
  name: 'gelu',
  kind: 'elementwise',
  expand: ([x]) => u.mul(u.mul(x!, 0.5), u.add(1, u.erf(u.mul(x!, Math.SQRT1_2)))),
  cheap: true,
})

/** x σ(x), elementwise (Elfwing et al. 2017, also called swish). @example mul(silu(gate), up) */
export const silu = <S extends Shape>(x: Tensor<S>): Tensor<S> => typed(node(siluOp, [x], {}))
/** x Φ(x) with the exact normal distribution, elementwise (Hendrycks & Gimpel 2016). @example gelu(matmul(x, w)) */
export const gelu = <S extends Shape>(x: Tensor<S>): Tensor<S> => typed(node(geluOp, [x], {}))
