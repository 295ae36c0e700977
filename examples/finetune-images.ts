/**
 * Fine-tunes an image classifier with PaCA on a labelled folder, and scores it on images that it did not learn from.
 * Run: node --import tsx examples/finetune-images.ts MODEL IMAGES HELD-OUT-IMAGES ADAPTER
 * MODEL is a directory of transformers or timm; IMAGES has a folder for each class, or is a CSV or JSON lines file.
 */
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { adamw, compile, orThrow, schedule, trainStep } from '../src/index.ts'
import { imageBatches, loadAdapter, readLabelled, readPreprocessing, saveAdapter, transformersPreprocessing } from '../src/io.ts'
import { baseOf, classifierAdapter, openClassifier, parameterCounts, tuneClassifier } from '../src/model.ts'

const golden = (name: string) => fileURLToPath(new URL(`../test/golden/${name}`, import.meta.url))
const [path = golden('vit-tiny'), folder = golden('images/labels.csv'), heldOutFolder = folder, out = await mkdtemp(`${tmpdir()}/adapter-`)] = process.argv.slice(2)
const { classes, images } = await orThrow(readLabelled(folder))
const heldOut = (await orThrow(readLabelled(heldOutFolder, { classes }))).images
const [seed, size, epochs] = [0, 16, 10]

// the head is replaced if these are not the classes of the model
const classifier = await orThrow(openClassifier(path, { labels: classes, seed }))
const { weights, buffers, checkpoint, notes } = classifier
for (const note of notes) console.log(note)
const made = await orThrow(async () => tuneClassifier(classifier, { method: 'paca', rank: 8, seed }))
const { trainable, all } = parameterCounts(made.tuned, checkpoint)
console.log(`PaCA trains ${trainable} of ${all} parameters to tell ${classes.join(', ')}`)

// the pixels that the model was made for, or, if its directory does not say, those of transformers' default
const own = await readPreprocessing(path)()
const sizes = { size: checkpoint.config.image_size }
const preprocessing = own._tag === 'Right' ? own.right : await orThrow(async () => transformersPreprocessing(path, sizes))
const batches = imageBatches(images, preprocessing, { size, shuffle: seed, epochs })

const lr = schedule.warmupCosine({ peak: 3e-3, warmup: Math.floor(batches.length / 10), total: batches.length })
await using run = await compile(trainStep(made.tuned, adamw({ lr })), { target: 'auto', weights, buffers })
const base = await baseOf(made, run)
const score = async () => {
  const { loss, metrics } = await run.evaluate(imageBatches(heldOut, preprocessing, { size }))
  return `loss ${loss.toFixed(3)}, ${(100 * metrics.top1).toFixed(1)} % right`
}
console.log(`before: ${await score()}`)
for await (const batch of batches) await run.step(batch)
console.log(`after ${batches.length} steps on ${run.target}: ${await score()}`)

await orThrow(saveAdapter(out, await orThrow(classifierAdapter(classifier, made, run, base))))
await checkpoint.close()
console.log(`saved ${(await orThrow(loadAdapter(out))).modules.size} modules in ${out}`)
