import { noDims } from '../facets.ts'
import { node, typed, type Node, type Op, type Tensor } from '../node.ts'
import { composite, unlike } from '../op/composite.ts'
import { minus, over, plus, rsqrtOp, times } from '../op/elementwise.ts'
import { scalar, sizeOp } from '../op/placeholder.ts'
import { summed, sumTo } from '../op/sum.ts'
import type { Dim, Shape } from '../shape/index.ts'

/** What is added to the mean square. */
export interface RmsNormAttributes {
  readonly epsilon: number
}
const mean = (x: Node): Node =>
  over(summed(x, [x.shape.length - 1], true), node(sizeOp, [], { dims: x.shape.slice(-1) }))
/** 1 / √(mean x² + ε) of every row. */
const scale = (x: Node, epsilon: number): Node => node(rsqrtOp, [plus(mean(times(x, x)), scalar(epsilon))], {})

/** (x[…, n], g[n]) => g x / √(mean x² + ε), as LLaMA has it (Zhang and Sennrich 2019). */
export const rmsNormOp: Op<RmsNormAttributes> = composite<RmsNormAttributes>({
  name: 'rmsNorm',
  kind: 'rows',
  dims: noDims,
  refuses: ([x, g]) => unlike('the scale', g!, x!.shape.slice(-1)),
  expand: ([x, g], { epsilon }) => times(times(x!, scale(x!, epsilon)), g!),
  vjp: ({ inputs: [x, g], attributes }, dy) => [
    node(rmsNormGradOp, [dy, x!, g!], attributes),
    sumTo(times(dy, times(x!, scale(x!, attributes.epsilon))), g!.shape),
  ],
  cheap: true,
})

/** (dy, x, g) => s t − x s³ mean(t x), with t = dy g and s the row's scale: the cotangent of x. */
export const rmsNormGradOp: Op<RmsNormAttributes> = composite<RmsNormAttributes>({
  name: 'rmsNormGrad',
  kind: 'rows',
  dims: noDims,
  refuses: ([dy, x, g]) => unlike('dy', dy!, x!.shape) ?? unlike('the scale', g!, x!.shape.slice(-1)),
  expand: ([dy, x, g], { epsilon }) => {
    const s = scale(x!, epsilon)
    const t = times(dy!, g!)
    return minus(times(s, t), times(x!, times(times(s, times(s, s)), mean(times(t, x!)))))
  },
})

/** Root-mean-square normalisation of the last axis. @example rmsNorm(x, layer.input_layernorm, 1e-5) */
export const rmsNorm = <L extends Shape, N extends Dim>(
  x: Tensor<readonly [...L, N]>,
  g: Tensor<readonly [N]>,
  epsilon: number,
): Tensor<readonly [...L, N]> => typed(node(rmsNormOp, [x, g], { epsilon }))
