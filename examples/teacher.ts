/** A small network learns from a large one in the same session: the teacher from labels, then the student from it alone. */
import {
  adamw, adapt, add, batches, compile, div, f32, full, i32, init, loss, matmul, metric, model, relu, stopGradient, tensor, trainStep, uniform, type Dim, type Tensor,
} from '../src/index.ts'

const mlp = <H extends Dim>(
  x: Tensor<readonly ['batch', 'features']>,
  { up, bias, down }: { readonly up: Tensor<readonly ['features', H]>; readonly bias: Tensor<readonly [H]>; readonly down: Tensor<readonly [H, 'classes']> },
) => matmul(relu(add(matmul(x, up), bias)), down)
const both = {
  params: {
    teacher: { up: f32('features', 'wide'), bias: f32('wide'), down: f32('wide', 'classes') },
    student: { up: f32('features', 'narrow'), bias: f32('narrow'), down: f32('narrow', 'classes') },
  },
  batch: { x: f32('batch', 'features'), y: i32('batch') },
  dims: { features: 2, wide: 64, narrow: 12, classes: 2 },
}
const forward = (p: typeof both.params, b: typeof both.batch) => ({ teacher: mlp(b.x, p.teacher), student: mlp(b.x, p.student) })
const accuracies = {
  teacher: ({ teacher }: ReturnType<typeof forward>, b: typeof both.batch) => metric.accuracy(teacher, b.y),
  student: ({ student }: ReturnType<typeof forward>, b: typeof both.batch) => metric.accuracy(student, b.y),
}
const teaching = model({ ...both, forward, loss: ({ teacher }, b) => loss.crossEntropy(teacher, b.y, { smoothing: 0.05 }), metrics: accuracies })
const distilling = model({
  ...both, forward, metrics: accuracies,
  loss: ({ teacher, student }) => loss.klDivergence(div(student, 2), stopGradient(div(teacher, 2))),
})

// two classes, inside and outside of a ring
const x = tensor(uniform(0, 0, 1200).map(u => 2 * u - 1), ['batch', 'features'], { sizes: [600, 2] })
const y = tensor(row => Number(Math.hypot(x.data[2 * row]!, x.data[2 * row + 1]!) > 0.75), ['batch'], { sizes: [600], dtype: 'i32' })
const percent = (share: number): string => `${Math.round(100 * share)}%`
const first = await compile(trainStep(adapt(teaching, full({ targets: ['teacher.up', 'teacher.bias', 'teacher.down'] })), adamw({ lr: 0.01 })), { weights: init.params(both, { seed: 0 }) })
for (const batch of batches({ x, y }, { size: 64, shuffle: 0, epochs: 40 })) await first.step(batch)
await using second = await compile(trainStep(adapt(distilling, full({ targets: ['student.up', 'student.bias', 'student.down'] })), adamw({ lr: 0.01 })), { weights: await first.params() })
await first[Symbol.asyncDispose]()
const { metrics } = await second.evaluate({ x, y })
for (const batch of batches({ x, y }, { size: 64, shuffle: 1, epochs: 80 })) await second.step(batch)
console.log(`teacher ${percent(metrics.teacher)}; student ${percent(metrics.student)}, then ${percent((await second.evaluate({ x, y })).metrics.student)}`)
