/**
 * An op of one's own: snake, x + sin²(ax)/a (Ziyin et al. 2020), an activation for periodic functions. It is a
 * name for an expression, with a derivative that computes less than that of the expression.
 */
import {
  adamw, compile, f32, init, model, nn, scalar, squaredError, sub, sum, tensor, trainStep, type Shape, type Tensor,
} from '../src/index.ts'
import { composite, gradients, interpret, node, typed, u, whole } from '../src/compiler.ts'

interface SnakeAttributes {
  readonly frequency: number
}
const snakeOp = composite<SnakeAttributes>({
  name: 'snake',
  kind: 'elementwise',
  dims: () => [], // no attribute is a dim
  cheap: true, // a backward pass computes it again instead of keeping it
  expand: ([x], { frequency: a }) => {
    const wave = u.sin(u.mul(x!, a))
    return u.add(x!, u.div(u.mul(wave, wave), a))
  },
  // 1 + sin 2ax, by 2 sin ax cos ax = sin 2ax
  vjp: ({ inputs: [x], attributes: { frequency: a } }, dy) => [u.mul(dy, u.add(1, u.sin(u.mul(x!, 2 * a))))],
})
/** x + sin²(ax)/a, elementwise. */
const snake = <S extends Shape>(x: Tensor<S>, frequency = 1): Tensor<S> => typed(node(snakeOp, [x], { frequency }))

// its derivative, beside that of its expression and beside a difference
const x = f32(3), at = new Map([[x, { sizes: [3], data: Float64Array.of(-1, 0.3, 2) }]])
const size = (dim: number | string): number => Number(dim)
const of = (y: Tensor<readonly [3]>) => interpret(gradients([sum(y)], [scalar(1)], [whole(x)]).gradients, at, size)[0]!.data
const [own, expanded] = [of(snake(x, 2)), of(typed(snakeOp.expand!([x], { frequency: 2 })))]
const h = 1e-5, difference = interpret([sub(snake(typed(u.add(x, h)), 2), snake(typed(u.sub(x, h)), 2))], at, size)[0]!.data.map(d => d / (2 * h))
const furthest = (a: Float64Array, b: Float64Array): number => Math.max(...a.map((value, i) => Math.abs(value - b[i]!)))
console.log(`differs from the expression's by ${furthest(own, expanded).toExponential(0)}, from a difference by less than 1e-8: ${furthest(own, difference) < 1e-8}`)

// a network of it learns two waves between -4 and 4
const network = model({
  params: nn.Mlp(1, 'hidden', 1),
  batch: { x: f32('batch', 1), y: f32('batch', 1) },
  dims: { hidden: 32 },
  forward: (p, b) => nn.mlp(b.x, p, h => snake(h, 2)),
  loss: (y, b) => squaredError(y, b.y),
})
const place = (row: number): number => (row - 50) / 12.5
const waves = {
  x: tensor(place, ['batch', 1], { sizes: [101, 1] }),
  y: tensor(row => Math.sin(2 * place(row)) + Math.cos(3 * place(row)), ['batch', 1], { sizes: [101, 1] }),
}
await using run = await compile(trainStep(network, adamw({ lr: 0.02 })), { target: 'wasm', weights: init.params(network, { seed: 0 }) })
const before = (await run.evaluate(waves)).loss
for (let k = 0; k < 400; k++) await run.step(waves)
console.log(`loss ${before.toFixed(3)}, then ${(await run.evaluate(waves)).loss.toFixed(3)}`)
