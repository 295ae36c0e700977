import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import * as E from 'fp-ts/lib/Either.js'
import { adapt, compile, full, init, orThrow, sgd, trainStep } from '../../src/index.ts'
import { tensorsOf } from '../../src/compiler.ts'
import { load } from '../../src/io/checkpoint/load.ts'
import { saveModel } from '../../src/io/index.ts'
import { parseConfig } from '../../src/model/index.ts'
import { inDirectory } from '../support/archives.ts'
import { formula, formulaImages } from '../support/formula.ts'
import { farthest } from '../support/images.ts'
import { ask, findVision } from '../support/python.ts'

const found = await findVision()
const none = E.isRight(found) && found.right === undefined
const skip = none ? 'there is no Python with torchvision and timm (CI=true installs them)' : false
const python = () => {
  if (E.isLeft(found)) assert.fail(found.left)
  return found.right ?? assert.fail('there is no Python')
}

/** A file of images for the script, which has channels before rows, and what it says of them. */
const imagesIn = async (directory: string, batch: number, size: number) => {
  const images = join(directory, `images-${size}`)
  const sizes = [batch, 3, size, size]
  await writeFile(
    images,
    Float32Array.from(formula('image', sizes), x => 4 * Math.fround(x)),
  )
  return { images, sizes }
}
const numbers = (answer: unknown): readonly number[] => {
  assert.ok(Array.isArray(answer) && answer.every(x => typeof x === 'number'))
  return answer
}

test("the pretrained EfficientNet-Lite0 has PyTorch's logits on wasm", { skip }, () =>
  inDirectory(async directory => {
    const sizes = [224, 96]
    const folder = (size: number): string => join(directory, `lite0-${size}`)
    const tasks = sizes.map(async size => ({
      kind: 'lite0',
      directory: folder(size),
      ...(await imagesIn(directory, 2, size)),
    }))
    const answers = await ask(python(), await Promise.all(tasks), directory, 'vision.py')
    for (const [i, size] of sizes.entries()) {
      const due = numbers(answers[i])
      const { model, weights, buffers, checkpoint } = await orThrow(load(folder(size), 'images'))
      await using session = await compile(model, { target: 'wasm', weights, buffers })
      await checkpoint.close()
      const { logits } = await session.predict({ images: formulaImages(2, size) })
      assert.ok(Math.max(...due.map(Math.abs)) > 1)
      assert.ok(farthest(logits.data, due) < 1e-3, `at ${size} they are off by ${farthest(logits.data, due)}`)
    }
  }),
)

/**
 * First weights with small gains. The running statistics of one step normalise nearly nothing, and with gains of 1 the
 * activations of forty blocks grow until PyTorch's own float32 tells nothing of them.
 */
const calm = <T>(values: T): T => {
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    if ('data' in value && 'sizes' in value && Array.isArray(value.sizes)) {
      const { data } = value
      // gains are the only vectors of ones
      if (value.sizes.length === 1 && data instanceof Float32Array && data.every(x => x === 1)) data.fill(0.9)
      return
    }
    Object.values(value).forEach(visit)
  }
  visit(values)
  return values
}

/** The logits of a model that was trained for a step and saved in a directory, for four images. */
const trained = async (name: string, directory: string, images: ReturnType<typeof formulaImages>) => {
  const parsed = parseConfig({ architecture: name, image_size: images.sizes[1], num_classes: 5 }, 'config.json')
  if (E.isLeft(parsed) || parsed.right.task !== 'images') assert.fail(name)
  const description = parsed.right
  const model = description.architecture.model(description.config)
  const all = tensorsOf(model.params).map(([path]) => path) as readonly string[]
  const step = trainStep(adapt(model, full({ targets: all })), sgd({ lr: 1e-2 }))
  await using session = await compile(step, {
    target: 'wasm',
    weights: calm(init.params(model, { seed: 16 })),
    buffers: init.buffers(model),
  })
  const labels = { shape: ['batch'] as const, sizes: [4], dtype: 'i32' as const, data: Int32Array.of(0, 3, 1, 4) }
  await session.step({ images, labels })
  const { logits } = await session.predict({ images })
  const state = { params: await session.params(), buffers: await session.buffers() }
  await orThrow(saveModel(join(directory, name), description, state))
  return logits.data
}

test('what is trained and saved here has the same logits in the library of its names', { skip }, () =>
  inDirectory(async directory => {
    const size = 48
    const names = ['efficientnet_v2_s', 'tf_efficientnetv2_s', 'tf_efficientnet_lite0']
    const images = formulaImages(4, size)
    const logits: ArrayLike<number>[] = []
    for (const name of names) logits.push(await trained(name, directory, images))
    const given = await imagesIn(directory, 4, size)
    const tasks = names.map(name => ({ kind: 'logits', directory: join(directory, name), ...given }))
    const answers = await ask(python(), tasks, directory, 'vision.py')
    for (const [i, name] of names.entries()) {
      const { logits: exact, rounding } = answers[i] as { readonly logits: unknown; readonly rounding: number }
      const due = numbers(exact)
      // sums have another order here than in PyTorch
      const most = 4 * rounding + 1e-5 * Math.max(...due.map(Math.abs))
      assert.ok(rounding < 1e-4 * Math.max(...due.map(Math.abs)), `${name}: PyTorch itself is off by ${rounding}`)
      assert.ok(
        farthest(logits[i]!, due) < most,
        `${name}: the logits are off by ${farthest(logits[i]!, due)} of ${most}`,
      )
    }
  }),
)
