/**
 * PaCA for convolutions: a network that tells discs, squares and crosses apart gets used to negatives of such images,
 * by training 4 input channels of each weight behind its stem.
 */
import {
  adamw, adapt, batches, compile, crossEntropy, f32, i32, init, metric, model, nn, paca, relu, tensor, trainStep, uniform,
} from '../src/index.ts'

const network = model({
  params: {
    stem: nn.Conv2d(1, 12, { size: 3 }),
    wide: nn.Conv2d(12, 24, { size: 3 }),
    spatial: nn.DepthwiseConv2d(24, { size: 3 }),
    head: nn.Linear(24, 'classes'),
  },
  batch: { x: f32('batch', 16, 16, 1), y: i32('batch') },
  dims: { classes: 3 },
  forward: (p, { x }) => {
    const edges = nn.maxPool2d(relu(nn.conv2d(x, p.stem, { padding: 'same' })), 2)
    const parts = relu(nn.conv2d(edges, p.wide, { padding: 'same', stride: 2 }))
    return nn.linear(nn.globalAveragePool(relu(nn.depthwiseConv2d(parts, p.spatial, { padding: 'same' }))), p.head)
  },
  loss: (logits, { y }) => crossEntropy(logits, y),
  metrics: { accuracy: (logits, { y }) => metric.accuracy(logits, y) },
})

/** A disc, a square or a cross, anywhere, of any size, in noise; bright on dark, or a negative. */
const images = (seed: number, n: number, isNegative: boolean) => {
  const drawn = uniform(seed, 0, 3 * n), noise = uniform(seed, 1, 256 * n)
  const inside = [
    (x: number, y: number, r: number) => x * x + y * y <= r * r,
    (x: number, y: number, r: number) => Math.max(x, y) <= 0.9 * r,
    (x: number, y: number, r: number) => Math.max(x, y) <= r && Math.min(x, y) <= r / 3,
  ]
  const pixel = (i: number, row: number, column: number): number => {
    const [top, left, r] = [5 + 6 * drawn[3 * i]!, 5 + 6 * drawn[3 * i + 1]!, 3 + 2 * drawn[3 * i + 2]!]
    const light = inside[i % 3]!(Math.abs(row - top), Math.abs(column - left), r) ? 1 : 0
    return (isNegative ? 1 - light : light) + 0.4 * (noise[256 * i + 16 * row + column]! - 0.5)
  }
  return {
    x: tensor((i, row, column) => pixel(i, row, column), ['batch', 16, 16, 1], { sizes: [n, 16, 16, 1] }),
    y: tensor(i => i % 3, ['batch'], { sizes: [n], dtype: 'i32' }),
  }
}
const percent = ({ metrics }: { readonly metrics: { readonly accuracy: number } }): string => `${Math.round(100 * metrics.accuracy)}%`

const first = await compile(trainStep(network, adamw({ lr: 0.01 })), { weights: init.params(network, { seed: 0 }) })
for (const batch of batches(images(1, 480, false), { size: 48, shuffle: 0, epochs: 15 })) await first.step(batch)
const weights = await first.params(), negatives = images(3, 240, true)
const [own, before] = [percent(await first.evaluate(images(2, 240, false))), percent(await first.evaluate(negatives))]
await first[Symbol.asyncDispose]()

const tuned = adapt(network, paca({ targets: ['wide', 'spatial', 'head'], rank: 4, seed: 0 }))
await using second = await compile(trainStep(tuned, adamw({ lr: 0.03 })), { weights })
for (const batch of batches(images(4, 480, true), { size: 48, shuffle: 0, epochs: 12 })) await second.step(batch)
console.log(`images ${own}; negatives ${before}, then ${percent(await second.evaluate(negatives))}`)
const { wide, spatial } = (await second.read()).focus
console.log(`trained of wide [${wide.weight.sizes.join(', ')}], of spatial [${spatial.weight.sizes.join(', ')}]`)
