import { noDims } from '../facets.ts'
import { node, typed, type Node, type Op, type Tensor } from '../node.ts'
import { composite, unlike } from '../op/composite.ts'
import { sumTo } from '../op/sum.ts'
import type { Dim, Shape } from '../shape/index.ts'
import { u } from '../op/untyped.ts'

/** A constant that is added to the mean square. */
export interface RmsNormAttributes {
  readonly epsilon: number
}
const mean = (x: Node): Node => u.div(u.sum(x, [x.shape.length - 1], true), u.size(...x.shape.slice(-1)))
/** 1 / √(mean x² + ε) of every row. */
const scale = (x: Node, epsilon: number): Node => u.rsqrt(u.add(mean(u.mul(x, x)), epsilon))

/** (x[…, n], g[n]) => g x / √(mean x² + ε), as in LLaMA (Zhang and Sennrich 2019). */
export const rmsNormOp: Op<RmsNormAttributes> = composite<RmsNormAttributes>({
  name: 'rmsNorm',
  kind: 'rows',
  dims: noDims,
  refuses: ([x, g]) => unlike('the scale', g!, x!.shape.slice(-1)),
  expand: ([x, g], { epsilon }) => u.mul(u.mul(x!, scale(x!, epsilon)), g!),
  vjp: ({ inputs: [x, g], attributes }, dy) => [
    node(rmsNormGradOp, [dy, x!, g!], attributes),
    sumTo(u.mul(dy, u.mul(x!, scale(x!, attributes.epsilon))), g!.shape),
  ],
  cheap: true,
  autograd: {
    // as in transformers: x is normalised in float32, and the scale multiplies the result
    saves: ({ inputs: [x] }, [ofX, ofScale]) => [
      ...(ofX
        ? ([
            { operand: 0, as: 'f32' },
            { own: 'f32', shape: [...x!.shape.slice(0, -1), 1] },
          ] as const)
        : []),
      ...(ofScale ? ([{ own: 'like', shape: x!.shape }] as const) : []),
    ],
    parts: 'f32',
  },
})

/** (dy, x, g) => s t − x s³ mean(t x), with t = dy g and s the row's scale: the cotangent of x. */
export const rmsNormGradOp: Op<RmsNormAttributes> = composite<RmsNormAttributes>({
  name: 'rmsNormGrad',
  kind: 'rows',
  dims: noDims,
  refuses: ([dy, x, g]) => unlike('dy', dy!, x!.shape) ?? unlike('the scale', g!, x!.shape.slice(-1)),
  expand: ([dy, x, g], { epsilon }) => {
    const s = scale(x!, epsilon)
    const t = u.mul(dy!, g!)
    return u.sub(u.mul(s, t), u.mul(x!, u.mul(u.mul(s, u.mul(s, s)), mean(u.mul(t, x!)))))
  },
})

/** Root-mean-square normalisation of the last axis. @example rmsNorm(x, layer.input_layernorm, 1e-5) */
export const rmsNorm = <L extends Shape, N extends Dim>(
  x: Tensor<readonly [...L, N]>,
  g: Tensor<readonly [N]>,
  epsilon: number,
): Tensor<readonly [...L, N]> => typed(node(rmsNormOp, [x, g], { epsilon }))
