/**
 * A wrong shape does not type-check, and the message names the dims. Without the comment above the wrong line, tsc says of it:
 *   Argument of type 'Tensor<readonly ["ffn", "hidden"], "f32">' is not assignable to parameter of type
 *   'Tensor<readonly ["ffn", "hidden"], "f32"> & ShapeError<"matmul: inner dims hidden and ffn differ">'.
 */
import { f32, matmul, relu, ShapeMismatch, type Dim, type Shape, type Tensor } from '../src/index.ts'

// a layer is generic in its dims, and its body is checked once, for all of them
const mlp = <L extends Shape, I extends Dim, H extends Dim>(
  x: Tensor<readonly [...L, I]>, up: Tensor<readonly [I, H]>, down: Tensor<readonly [H, I]>) => matmul(relu(matmul(x, up)), down)

const x = f32('batch', 'seq', 'hidden'), up = f32('hidden', 'ffn'), down = f32('ffn', 'hidden')
const y: Tensor<readonly ['batch', 'seq', 'hidden']> = mlp(x, up, down)
console.log(`right: [${y.shape.join(', ')}]`)

// shapes that are known only when the program runs are checked by the same rule, with the same text
try {
  // @ts-expect-error matmul: inner dims hidden and ffn differ
  matmul(x, down)
} catch (error) {
  if (!(error instanceof ShapeMismatch)) throw error
  console.log(`wrong: ${error.message}`)
}
