import { convolutionPlans } from '../../src/backend/tfjs/heap-convolutions.ts'
import type { Call } from '../../src/backend/tfjs/lowering.ts'
import { gradientsOf, type ImageOptions } from '../images.ts'
import { measurement, type Measurement } from '../measurement.ts'
import { foundIn, isDepthwise, productsOf } from '../products.ts'
import { fastestOf, fastestProduct, startedWasm, type Repeating } from './products.ts'

export interface ImageProductsOptions extends ImageOptions, Repeating {
  readonly threads: number
}

/**
 * The fastest time of every distinct product of an image classifier's step, alone. A convolution counts as the product
 * of all its windows, which are not made for it; one of each channel by itself as its own kernel.
 */
export const timeImageProducts = async ({
  threads,
  repetitions,
  atLeast,
  ...of
}: ImageProductsOptions): Promise<Measurement> => {
  const plan = await gradientsOf(of)
  const runtime = await startedWasm(threads)
  const repeating = { repetitions, atLeast }
  const products = [...productsOf(plan)].map(
    ([name, { part, times }]) => [name, times * fastestProduct(runtime, part, repeating)] as const,
  )
  const plans = convolutionPlans(runtime.kernels, runtime.products, () => 0)
  const depthwise = foundIn(plan, (instruction, { slots }) => {
    if (!isDepthwise(instruction)) return undefined
    const { node, inputs, output } = instruction
    const call: Call = { node, inputs: inputs.map(slot => slots[slot]!), output: slots[output]!, size: Number }
    const sizes = [...call.inputs, call.output].map(slot => slot.sizes)
    return [`${node.op.name} ${sizes.map(each => each.join('×')).join(', ')}`, { call, sizes }]
  })
  const kernels = [...depthwise].map(([name, { part, times }]) => {
    const { call, sizes } = part
    const run = plans[call.node.op.name as 'conv' | 'convInput' | 'convFilter'](call)
    return [name, times * fastestOf(runtime, sizes, repeating, at => run(at.slice(0, -1), at.at(-1)!))] as const
  })
  await runtime.dispose()
  const parts = Object.fromEntries([...products, ...kernels])
  return measurement(
    [Object.values(parts).reduce((sum, part) => sum + part, 0)],
    { products: products.length, depthwise: kernels.length },
    parts,
  )
}
