/**
 * A convolutional network for signals of any length: it hears a tone that rises, falls or stays, in noise, and is asked
 * about signals that are twice as long as those it learned from.
 */
import {
  adamw, batches, compile, crossEntropy, f32, i32, init, max, metric, model, nn, relu, tensor, trainStep, uniform,
} from '../src/index.ts'

const network = model({
  params: {
    near: nn.Conv1d(1, 'channels', { size: 5 }),
    far: nn.Conv1d('channels', 'channels', { size: 5 }),
    head: nn.Linear('channels', 'classes'),
  },
  batch: { x: f32('batch', 'time', 1), y: i32('batch') },
  dims: { channels: 24, classes: 3 },
  // the second convolution reads every fourth place; the largest answer over time decides
  forward: (p, { x }) => {
    const waves = relu(nn.conv1d(x, p.near, { padding: 'same' }))
    const changes = relu(nn.conv1d(waves, p.far, { padding: 'same', dilation: 4 }))
    return nn.linear(max(changes, 'time'), p.head)
  },
  loss: (logits, { y }) => crossEntropy(logits, y),
  metrics: { accuracy: (logits, { y }) => metric.accuracy(logits, y) },
})

/** Tones, whose frequency goes up, down or nowhere within each signal. */
const tones = (seed: number, n: number, time: number) => {
  const drawn = uniform(seed, 0, 2 * n), noise = uniform(seed, 1, n * time)
  const sample = (i: number, t: number): number => {
    const [lowest, highest] = [0.25 + 0.1 * drawn[2 * i]!, 0.95]
    const turn = [highest - lowest, lowest - highest, 0][i % 3]! / (2 * time), from = [lowest, highest, 0.6][i % 3]!
    return Math.sin(6.28 * drawn[2 * i + 1]! + (from + turn * t) * t) + 0.4 * (noise[i * time + t]! - 0.5)
  }
  return {
    x: tensor((i, t) => sample(i, t), ['batch', 'time', 1], { sizes: [n, time, 1] }),
    y: tensor(i => i % 3, ['batch'], { sizes: [n], dtype: 'i32' }),
  }
}

await using run = await compile(trainStep(network, adamw({ lr: 0.01 })), { weights: init.params(network, { seed: 0 }) })
for (const batch of batches(tones(1, 480, 40), { size: 48, shuffle: 0, epochs: 12 })) await run.step(batch)
const percent = async (time: number): Promise<string> =>
  `${Math.round(100 * (await run.evaluate(tones(2, 240, time))).metrics.accuracy)}%`
console.log(`40 samples: ${await percent(40)}; 80 samples: ${await percent(80)}`)
